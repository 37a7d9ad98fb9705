"""From frames to painted frames, each stage in a thread of its own: decoding, coloring, frame_colorizer overlap."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from av.video.frame import VideoFrame

from colorcli.color.ycbcr import Plane
from colorcli.video.color_detection import ColorDetector
from colorcli.video.frame_converter import FrameConverter, View
from colorcli.video.reader import Frame
from colorcli.video.temporal_colorizer import ColoredStep, Keyframe, Step, TemporalColorizer

Item = TypeVar("Item")
AHEAD = 2
"""Frames that a stage may be ahead of the next: enough to level out, few enough for 4K in memory."""


@dataclass(frozen=True)
class AnalyzedFrame:
    """A frame with what is to be known of it before it is colored."""

    frame: Frame
    planar: VideoFrame
    views: list[View]
    kept: bool
    opens: bool
    saturation: float


@dataclass(frozen=True)
class Result:
    """A frame with its colors, ready to be painted."""

    seen: AnalyzedFrame
    chromas: list[Plane] | None
    opens_shot: bool
    settled: bool
    """A segment may end here."""
    key: Keyframe | None


Plan = Callable[[int], tuple[bool | None, bool, float]]
"""What is decided beforehand: whether a frame keeps its colors (None: see), opens a shot, its saturation."""


def look(
    frames: Iterable[Frame],
    converter: FrameConverter,
    working: tuple[int, int],
    plan: Plan,
    sense: ColorDetector | None,
) -> Iterator[AnalyzedFrame]:
    """Shrink each frame for network and flow, and decide whether it keeps its colors."""
    for frame in frames:
        planar = converter.planar(frame.picture)
        views = converter.views(planar, working)
        kept, opens, saturation = plan(frame.number)
        if kept is None:
            thumbnail = converter.thumbnail(planar, views) if sense else None
            kept = bool(sense and thumbnail is not None and sense.sees(thumbnail[0], thumbnail[1:]))
        yield AnalyzedFrame(frame, planar, views, kept, opens, saturation)


def color(seen: Iterable[AnalyzedFrame], temporal_colorizer: TemporalColorizer) -> Iterator[Result]:
    """Give each frame its colors; a frame of two fields is two steps."""
    waiting: deque[AnalyzedFrame] = deque()

    def steps() -> Iterator[Step]:
        for one in seen:
            waiting.append(one)
            for place, view in enumerate(one.views):
                yield Step(one.frame.number, view.small, one.kept, one.opens and place == 0)

    parts: list[ColoredStep] = []
    for part in temporal_colorizer.run(steps()):
        parts.append(part)
        if len(parts) == len(waiting[0].views):
            yield _result(waiting.popleft(), parts)
            parts = []


def _result(seen: AnalyzedFrame, parts: list[ColoredStep]) -> Result:
    chromas = [part.chroma * seen.saturation for part in parts if part.chroma is not None]
    opens = any(part.opens_shot for part in parts)
    return Result(seen, chromas or None, opens, parts[-1].settled, parts[-1].key)


def ahead(items: Iterable[Item], size: int = AHEAD) -> Iterator[Item]:
    """The same items, made in a thread that keeps up to `size` of them ready.

    Errors of the maker come out here; leaving the iteration early stops the thread.
    """
    ready: queue.Queue[tuple[bool, object]] = queue.Queue(size)
    stopped = threading.Event()

    def put(entry: tuple[bool, object]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # handed over whole, and raised where the items are read
            put((False, error))
        finally:
            # A generator is closed by the thread that ran it, so that makers before it stop as well.
            if isinstance(items, Generator):
                items.close()

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        while True:
            is_item, entry = ready.get()
            if is_item:
                yield entry  # type: ignore[misc]
            elif entry is None:
                return
            else:
                raise entry  # type: ignore[misc]
    finally:
        stopped.set()
        maker.join()
