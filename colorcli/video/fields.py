"""Fields of interlaced video: which comes first, by a frame's own flag and by what its lines show."""

from collections import Counter
from collections.abc import Iterable, Iterator

import av
from av.filter.graph import Graph
from av.video.frame import VideoFrame

_SEEN_FRAMES = 3
"""Frames with visible fields that are enough to take video as interlaced."""


def is_top_first(frame: VideoFrame) -> bool:
    """Whether an interlaced frame is flagged as top field first."""
    # PyAV does not give the flag, so FFmpeg's select filter looks at it.
    graph = _graph(frame, ("select", "eq(interlace_type,TOPFIRST)"))
    return next(_filter(graph, [frame]), None) is not None


def look_for_fields(frames: Iterable[VideoFrame]) -> str | None:
    """`tff` or `bff`, the order of the fields that FFmpeg's idet filter sees; None if it sees none."""
    graph: Graph | None = None
    seen: Counter[str] = Counter()
    first: tuple[int, int, str] | None = None
    for frame in frames:
        form = frame.width, frame.height, frame.format.name
        if graph is None:
            graph, first = _graph(frame, ("idet", "")), form
        if form == first:
            seen.update(_verdicts(graph, frame))
    if graph is not None:
        seen.update(_verdicts(graph, None))
    order, count = max((("tff", seen["tff"]), ("bff", seen["bff"])), key=lambda entry: entry[1])
    return order if count >= min(_SEEN_FRAMES, seen.total() / 2 or 1) else None


def _verdicts(graph: Graph, frame: VideoFrame | None) -> Iterator[str]:
    for picture in _filter(graph, [frame]):
        yield picture.metadata.get("lavfi.idet.multiple.current_frame", "")


def _graph(frame: VideoFrame, step: tuple[str, str]) -> Graph:
    graph = Graph()
    size = f"{frame.width}x{frame.height}"
    source = graph.add("buffer", video_size=size, pix_fmt=frame.format.name, time_base="1/25")
    name, arguments = step
    graph.link_nodes(source, graph.add(name, arguments or None), graph.add("buffersink")).configure()
    return graph


def _filter(graph: Graph, frames: Iterable[VideoFrame | None]) -> Iterator[VideoFrame]:
    for frame in frames:
        graph.vpush(frame)
        while True:
            try:
                yield graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
