"""The stages between source and sink, each in a thread of its own where that saves time.

    source -> shots -> temporal colorizer -> converter -> (encoder, in the sink)

A `Frame` is what the source and the shots stage give, a `ColoredFrame` what the temporal colorizer and the
converter give.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from colorcli.color.detection import ColorDetector
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.video.frames import ColoredFrame, Frame
from colorcli.video.prefetch import Prefetch
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shot_list import ShotList
from colorcli.video.shots import ShotAnalyzer
from colorcli.video.sinks.base import ResumePoint
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
    video: CheckedVideo, shots: ShotList, predictor: ChromaPredictor, hints: HintSource, start: ResumePoint
) -> Iterator[Iterator[ColoredFrame]]:
    """The frames after `start` with their colors, ready for the encoder.

    All threads have ended when the context is left.
    """
    with unconverted_frames(video, shots, predictor, hints, start) as frames:
        yield map(video.converter().convert, frames)


@contextmanager
def unconverted_frames(
    video: CheckedVideo, shots: ShotList, predictor: ChromaPredictor, hints: HintSource, start: ResumePoint
) -> Iterator[Iterator[ColoredFrame]]:
    """The same with the source's pictures; their colors are at the working size only."""
    options = video.options
    converter = video.converter()
    working = predictor.working_shape(video.info.height, video.info.width)
    detector = None if options.color.recolor else ColorDetector(has_color=start.has_color)
    analyzer = ShotAnalyzer(converter, working, shots, detector)
    colorizer = (TemporalColorizer if options.video.stabilize else PerFrameColorizer)(
        predictor, hints, start.keyframe, lookahead_for(converter.view_bytes)
    )
    frames = islice(video.frames(), start.frames, None)
    with (
        Prefetch(analyzer.run(frames)) as analyzed,
        Prefetch(joined_steps(analyzed, colorizer.run, is_resumed=start.frames > 0)) as colored,
    ):
        yield colored


def joined_steps(
    frames: Iterable[Frame],
    colorize: Callable[[Iterable[Step]], Iterable[ColoredStep]],
    *,
    is_resumed: bool = False,
) -> Iterator[ColoredFrame]:
    """Each frame with its colors; an interlaced frame is two steps of the temporal colorizer."""
    waiting: deque[Frame] = deque()

    def steps() -> Iterator[Step]:
        for frame in frames:
            waiting.append(frame)
            for place, view in enumerate(frame.views):
                starts_shot = frame.starts_shot and place == 0
                yield Step(frame.number, view.small, frame.keeps_color, starts_shot)

    is_first = not is_resumed
    parts: list[ColoredStep] = []
    for part in colorize(steps()):
        parts.append(part)
        if len(parts) == len(waiting[0].views):
            yield _join(waiting.popleft(), parts, starts_shot=is_first)
            parts, is_first = [], False


def _join(frame: Frame, parts: list[ColoredStep], *, starts_shot: bool) -> ColoredFrame:
    """A frame from the steps of its views."""
    chromas = [part.chroma * frame.saturation for part in parts if part.chroma is not None]
    return ColoredFrame(
        frame,
        chromas or None,
        frame.picture,
        starts_shot=starts_shot or any(part.starts_shot for part in parts),
        is_resumable=parts[-1].is_resumable,
        keyframe=parts[-1].keyframe,
    )
