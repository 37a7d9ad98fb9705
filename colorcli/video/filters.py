"""Filters between source and colorizing: deinterlacing and tone mapping."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import av
from av.video.frame import VideoFrame

from colorcli.errors import RefusedError
from colorcli.options import VideoOptions
from colorcli.video.frames import Frame
from colorcli.video.info import PROGRESSIVE, VideoInfo
from colorcli.video.tonemap import ToneMapper, sdr_info

Filter = Callable[[VideoFrame | None], Iterable[VideoFrame]]
"""Takes each frame, and None at the end; gives the frames that are ready by then."""


def filtered_info(info: VideoInfo, options: VideoOptions) -> VideoInfo:
    """The facts of a video after its filters.

    Raises:
        RefusedError: it is HDR, and tone mapping was not asked for.
    """
    if info.hdr and not options.tonemap:
        cause = f"is HDR ({info.hdr}), which the network was not trained on"
        raise RefusedError(info.source, cause, "add --tonemap for SDR")
    if info.hdr:
        info = sdr_info(info)
    return replace(info, field_order=PROGRESSIVE) if options.deinterlace else info


def apply_filters(frames: Iterator[Frame], info: VideoInfo, options: VideoOptions) -> Iterator[Frame]:
    """The source's frames, deinterlaced and tone-mapped where asked for; `info` is the source's."""
    if options.deinterlace and info.is_interlaced:
        frames = _filtered(frames, deinterlacer(info))
    return _filtered(frames, ToneMapper(info)) if info.hdr else frames


def deinterlacer(info: VideoInfo) -> Filter:
    """FFmpeg's bwdif (Bob Weaver, after BBC R&D's w3fdif): one frame out for each in, at the same time."""
    graph = av.filter.Graph()
    source = graph.add(
        "buffer",
        video_size=f"{info.width}x{info.height}",
        pix_fmt=info.pix_fmt,
        time_base=str(info.time_base),
        colorspace=str(info.matrix_tag),
        range=str(info.range),
    )
    parity = "bff" if info.is_bottom_first else "tff"
    bwdif = graph.add("bwdif", f"mode=send_frame:parity={parity}:deint=all")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()

    def deinterlace(frame: VideoFrame | None) -> Iterator[VideoFrame]:
        graph.vpush(frame)
        while True:
            try:
                yield graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return

    return deinterlace


def _filtered(frames: Iterator[Frame], change: Filter) -> Iterator[Frame]:
    """Frames through a filter that may delay them, with their own numbers and times."""
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        for picture in change(frame.picture):
            yield replace(waiting.pop(0), picture=picture)
    for picture in change(None):
        yield replace(waiting.pop(0), picture=picture)
