"""Colors known before a video is colorized: from references, from the shots' palettes, and for all frames."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import ColorSources, ReferencePicture
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import UsageError
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.options import RunOptions
from colorcli.video.prefetch import Prefetch
from colorcli.video.preflight import CheckedVideo
from colorcli.video.references import PropagatedColors, find_references, propagate_references
from colorcli.video.shot_list import ShotList
from colorcli.video.temporal_colorizer import HintSource


@contextmanager
def open_color_sources(
    video: CheckedVideo, shots: ShotList, predictor: ChromaPredictor, sources: ColorSources, report: Sink
) -> Iterator[HintSource]:
    """The hints for a video's frames: propagated references first, then palettes.

    Raises:
        UsageError: references or palettes cannot be used, or the video cannot be read twice.
        InputError: a reference cannot be read.
    """
    palettes = _Palettes(video, shots, predictor, sources)
    folder = video.options.video.references
    if folder is None:
        yield palettes
        return
    if video.source.path == STDIO:
        raise UsageError("--references", "need a video that can be read twice, not a pipe", "give a file")
    references = find_references(folder, video.info.rate)
    working = predictor.working_shape(video.info.height, video.info.width)
    with PropagatedColors(working) as propagated:
        with video.source.reopen() as source, Prefetch(video.lumas(source, working)) as lumas:
            missing = propagate_references(references, lumas, video.info, propagated)
        for frame in missing:
            report(Note(str(folder), f"the video has no frame {frame}"))
        yield lambda number, small: propagated(number, small) or palettes(number, small)


class _Palettes:
    """Hints from palettes: of the reference picture of a frame's shot, else what holds for the whole run."""

    def __init__(
        self, video: CheckedVideo, shots: ShotList, predictor: ChromaPredictor, sources: ColorSources
    ) -> None:
        """Read the reference pictures.

        Raises:
            UsageError: one of them cannot be read, or has no color.
        """
        self._shots, self._predictor, self._sources = shots, predictor, sources
        self._shape = (video.info.height, video.info.width)
        folder = video.options.video.references or Path()
        names = {shot.reference for shot in shots.shots if shot.reference}
        self._references = {name: ReferencePicture(folder / name) for name in sorted(names)}

    def __call__(self, number: int, small: Plane) -> Hints | None:
        shot = self._shots.find(number)
        if shot and shot.reference:
            return self._references[shot.reference].hints_for(small, self._predictor)
        return self._sources.hints_for(self._shape, small, self._predictor)


def color_sources_identity(options: RunOptions) -> list[str]:
    """Digests of the files that colors come from, which a resumed run must find unchanged."""
    folder = options.video.references
    files = [path for path in (options.video.shots, options.color.reference) if path]
    files += sorted(folder.iterdir()) if folder and folder.is_dir() else []
    # A shot list that did not exist is written at the end of the run only: its name stands for it.
    return [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path) for path in files]
