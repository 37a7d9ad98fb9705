"""The stages between source and sink, each in a thread of its own where that saves time.

    source -> shots -> temporal colorizer -> converter -> (encoder, in the sink)

A `Frame` is what the source and the shots stage give, a `ColoredFrame` what the temporal colorizer and the
converter give.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from colorcli.color.detection import ColorDetector
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.video.chroma_store import read_chroma, round_chroma
from colorcli.video.corrections import Memory
from colorcli.video.frames import Agreement, ColoredFrame, Frame
from colorcli.video.kept_shots import KeptShots
from colorcli.video.part import Part
from colorcli.video.prefetch import Prefetch
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shots import ShotAnalyzer, ShotRule
from colorcli.video.temporal_colorizer import (
    ColoredStep,
    HintSource,
    PerFrameColorizer,
    Step,
    TemporalColorizer,
    lookahead_for,
)


@contextmanager
def colored_frames(
    video: CheckedVideo,
    predictor: ChromaPredictor,
    hints: HintSource,
    part: Part,
    memory: Memory | None = None,
) -> Iterator[Iterator[ColoredFrame]]:
    """The frames of a part with their colors, ready for the encoder.

    All threads have ended when the context is left.
    """
    convert = video.converter().convert
    if part.chroma is not None:
        working = predictor.working_shape(video.info.height, video.info.width)
        with Prefetch(_stored_frames(video, working, part, part.chroma)) as frames:
            yield map(convert, frames)
        return
    with unconverted_frames(video, predictor, hints, part, memory) as frames:
        yield map(convert, frames)


@contextmanager
def unconverted_frames(
    video: CheckedVideo,
    predictor: ChromaPredictor,
    hints: HintSource,
    part: Part,
    memory: Memory | None = None,
) -> Iterator[Iterator[ColoredFrame]]:
    """The same with the source's pictures; their colors are at the working size only."""
    options = video.options
    converter = video.converter()
    kept = KeptShots(part.stored, memory)
    colorizer = (TemporalColorizer if options.video.stabilize else PerFrameColorizer)(
        predictor, hints, part.keyframe, lookahead_for(converter.view_bytes), memory, kept.covers
    )
    working = predictor.working_shape(video.info.height, video.info.width)
    with (
        Prefetch(analyzed_frames(video, working, part)) as analyzed,
        Prefetch(kept.fill(joined_steps(analyzed, colorizer.run))) as colored,
    ):
        yield colored


def analyzed_frames(video: CheckedVideo, working: tuple[int, int], part: Part) -> Iterator[Frame]:
    """The frames of a part with what is decided about each."""
    detector = None if video.options.color.recolor else ColorDetector(has_color=part.has_color)
    rule = ShotRule(video.shots, keeps_color=part.keeps_color)
    analyzer = ShotAnalyzer(video.converter(), working, rule, detector)
    frames = video.frames(part.before)
    found = analyzer.run(frames, has_context=part.before is not None, findings=part.findings)
    return islice(found, part.length)


def _stored_frames(
    video: CheckedVideo, working: tuple[int, int], part: Part, chroma: Path
) -> Iterator[ColoredFrame]:
    """The frames of a part with the colors that an earlier run gave them."""
    stored: dict[int, list[Plane]] = {}
    views = len(part.findings[0].cuts) if part.findings else 1
    colors = read_chroma(chroma, views)
    for place, frame in enumerate(analyzed_frames(video, working, part)):
        while not frame.keeps_color and place not in stored:
            number, planes = next(colors)
            stored = {number: planes}
        chromas = None if frame.keeps_color else stored[place]
        yield ColoredFrame(frame, chromas, frame.picture, is_resumable=False, keyframe=None)


def joined_steps(
    frames: Iterable[Frame],
    colorize: Callable[[Iterable[Step]], Iterable[ColoredStep]],
) -> Iterator[ColoredFrame]:
    """Each frame with its colors; an interlaced frame is two steps of the temporal colorizer."""
    waiting: deque[Frame] = deque()

    def steps() -> Iterator[Step]:
        for frame in frames:
            waiting.append(frame)
            for view, is_start in zip(frame.views, frame.shot_starts, strict=True):
                yield Step(frame.number, view.small, frame.keeps_color, is_start)

    parts: list[ColoredStep] = []
    for part in colorize(steps()):
        parts.append(part)
        if len(parts) == len(waiting[0].views):
            yield _join(waiting.popleft(), parts)
            parts = []


def _join(frame: Frame, parts: list[ColoredStep]) -> ColoredFrame:
    """A frame from the steps of its views."""
    chromas = [
        round_chroma(frame.grade.apply(part.chroma, part.step.small))
        for part in parts
        if part.chroma is not None
    ]
    keyframe = parts[-1].keyframe
    return ColoredFrame(
        frame,
        chromas or None,
        frame.picture,
        is_resumable=parts[-1].is_resumable,
        keyframe=keyframe,
        agreement=None if keyframe is None else Agreement.of(keyframe.estimate),
    )
