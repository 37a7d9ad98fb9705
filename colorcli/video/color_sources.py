"""Colors known before a video is colorized: given by a person, from shots' palettes, and for all frames."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import ColorSources, ReferencePicture
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import UsageError
from colorcli.events import Note, Sink
from colorcli.video.frames import Frame
from colorcli.video.part import Part
from colorcli.video.pipeline import analyzed_frames
from colorcli.video.prefetch import Prefetch
from colorcli.video.preflight import CheckedVideo
from colorcli.video.propagation import PropagatedColors, propagate
from colorcli.video.shot_memory import ShotMemory
from colorcli.video.sources.base import FrameSource
from colorcli.video.temporal_colorizer import HintSource
from colorcli.video.trim import Trim


def open_memory(
    video: CheckedVideo, predictor: ChromaPredictor, sources: ColorSources, folder: Path | None = None
) -> ShotMemory | None:
    """The memory of a run, with what a person gave; None without one.

    Args:
        folder: keeps it for a run that continues this one.
    """
    options = video.options.video
    if not (options.memory and options.stabilize):
        return None
    memory = ShotMemory(folder)
    wanted = {number for number in video.given.frames if not _is_skipped(number, video)}
    if wanted:
        palettes, converter = _Palettes(video, predictor, sources), video.converter()
        working = predictor.working_shape(video.info.height, video.info.width)
        with video.source.reopen() as source, Prefetch(_whole(video, source).frames()) as frames:
            for frame in takewhile(lambda frame: frame.number <= max(wanted), frames):
                if frame.number in wanted:
                    view, *_ = converter.views(converter.planar(frame.picture), working)
                    given = _given_for(frame.number, video, predictor, palettes, view.small)
                    memory.give(frame.number, view.small, given)
    return memory


def _is_skipped(number: int, video: CheckedVideo) -> bool:
    shot = video.shots.find(number)
    return shot is not None and shot.skip


def _whole(video: CheckedVideo, source: FrameSource) -> CheckedVideo:
    """The video with another source, and not trimmed."""
    return replace(video, source=source, trim=Trim())


@contextmanager
def open_color_sources(
    video: CheckedVideo, part: Part, predictor: ChromaPredictor, sources: ColorSources, report: Sink
) -> Iterator[HintSource]:
    """The hints for the frames of a part: what a person gave, propagated, first, then palettes.

    Raises:
        UsageError: palettes or hints cannot be used.
        InputError: a reference cannot be read.
    """
    palettes = _Palettes(video, predictor, sources)
    numbers = [number for number in video.given.frames if _is_within(number, part)]
    if not numbers:
        yield palettes
        return
    working = predictor.working_shape(video.info.height, video.info.width)
    with PropagatedColors(working) as propagated:

        def find(numbers: list[int]) -> None:
            with Prefetch(_frames_around(video, working, part)) as frames:
                given = {
                    number: partial(_given_for, number, video, predictor, palettes) for number in numbers
                }
                unused = propagate(given, frames, propagated)
            _complain(video, unused, report)

        # Shots that keep their colors are hardly ever asked for.
        later = [number for number in numbers if _is_stored(number, part)]
        if len(later) < len(numbers):
            find([number for number in numbers if number not in later])

        def hints(number: int, small: Plane) -> Hints | None:
            if later and _is_stored(number, part):
                find(later)
                later.clear()
            known, palette = propagated(number), palettes(number, small)
            if known is None or palette is not None:
                return palette if known is None else known.over(palette)
            return replace(known, fills_regions=not video.given.references)

        yield hints


def _is_within(number: int, part: Part) -> bool:
    """Whether what is given for a frame matters to a part: to the beginning of its first shot, too."""
    if part.chroma is not None:
        return False
    begins = 0 if part.keyframe is not None else part.first_number
    return begins <= number and (part.last is None or number <= part.last)


def _is_stored(number: int, part: Part) -> bool:
    return any(shot.start <= number < shot.end for shot in part.stored)


def _frames_around(video: CheckedVideo, working: tuple[int, int], part: Part) -> Iterator[Frame]:
    """The frames of the shots of a part, trimmed or not, with decisions."""
    with video.source.reopen() as source:
        is_whole_shots = part.keyframe is None and (part.before is not None or video.trim == Trim())
        frames = analyzed_frames(_whole(video, source), working, part if is_whole_shots else Part())
        yield from takewhile(lambda frame: part.last is None or frame.number <= part.last, frames)


def _complain(video: CheckedVideo, unused: dict[int, str], report: Sink) -> None:
    """Say what has no effect.

    Raises:
        UsageError: one of the hints has none.
    """
    for number, cause in unused.items():
        if number in video.given.hints:
            name = video.given.hints[number].name
            remedy = "correct it, or leave it out"
            raise UsageError(name, f"frame {number} {cause}", remedy)
        report(Note(str(video.given.references[number].path), f"has no effect: the frame {cause}"))


def _given_for(
    number: int, video: CheckedVideo, predictor: ChromaPredictor, palettes: HintSource, small: Plane
) -> Hints:
    """What a person gave for a frame: a reference, and what hints change about it."""
    reference, hints = video.given.references.get(number), video.given.hints.get(number)
    known = None if reference is None else reference.colors(small.shape, video.info)
    if hints is None:
        assert known is not None
        return known
    base = known or palettes(number, small)
    changed = hints.colors(small, base, lambda luma, given: predictor.predict([luma], [given])[0])
    return changed.over(known)


class _Palettes:
    """Hints from palettes: of the reference picture of a frame's shot, else what holds for the whole run."""

    def __init__(self, video: CheckedVideo, predictor: ChromaPredictor, sources: ColorSources) -> None:
        """Read the reference pictures.

        Raises:
            UsageError: one of them cannot be read, or has no color.
        """
        self._shots, self._predictor = video.shots, predictor
        self._reference = sources.reference
        folder = video.options.video.references or Path()
        names = {shot.reference for shot in self._shots.shots if shot.reference}
        self._references = {name: ReferencePicture(folder / name) for name in sorted(names)}

    def __call__(self, number: int, small: Plane) -> Hints | None:
        shot = self._shots.find(number)
        palette = self._references[shot.reference] if shot and shot.reference else self._reference
        return None if palette is None else palette.hints_for(small, self._predictor)


def palette_digest(name: str, folder: Path | None) -> str:
    """Of the reference picture of a shot; empty for none."""
    path = (folder or Path()) / name
    return hashlib.sha256(path.read_bytes()).hexdigest() if name and path.is_file() else name
