"""Joining the finished segments of a video with the source's other streams into the output."""

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet

from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.video.ffmpeg import file_url
from colorcli.video.frames import Timing
from colorcli.video.muxer import open_output, write_matroska_aspect
from colorcli.video.preflight import CheckedVideo
from colorcli.video.probe import open_video
from colorcli.video.sinks.segments import Segments
from colorcli.video.timestamps import decode_seconds, number_frames, restore_times
from colorcli.video.trim import Clip

LATEST_END = Fraction(1)
"""Seconds after the last frame within which `--end` still counts as cutting the video."""


def join_segments(video: CheckedVideo, segments: Segments, tags: dict[str, str]) -> None:
    """Mux the segments and the source's other streams into the output, whole or not at all.

    Raises:
        InputError: the output cannot be written.
    """
    with atomic_write(video.output) as partial:
        _mux(video, segments, partial, tags)
        if video.format_name == "matroska":
            write_matroska_aspect(partial, video.output_info)


def _mux(video: CheckedVideo, segments: Segments, partial: Path, tags: dict[str, str]) -> None:
    info, timings = video.info, segments.timings
    clip = _clip(video, timings)
    with ExitStack() as stack:
        source = stack.enter_context(open_video(video.source.path)) if video.source.container else None
        first = stack.enter_context(av.open(file_url(segments.encoded(0)), format="nut"))
        template = first.streams.video[0]
        output = open_output(
            file_url(partial), video.format_name, video.output_info, source, template, clip, tags
        )
        stack.enter_context(output.container)
        encoded = restore_times(
            _encoded_packets(segments, info.rate),
            timings.__getitem__,
            depth=template.codec_context.reorder_depth,
            step=info.frame_ticks,
            shift=round(clip.shift / info.time_base),
        )
        others = [source.streams[index] for index in output.copies] if source else []
        copied = source.demux(*others) if source and others else ()
        timed = heapq.merge(
            ((decode_seconds(packet) + clip.shift, output.mux_video, packet) for packet in encoded),
            ((decode_seconds(packet), output.mux_copy, packet) for packet in copied),
            key=lambda entry: entry[0],
        )
        for _, mux, packet in timed:
            mux(packet)
    if output.video_packets != len(timings):
        cause = f"contains {output.video_packets} of {len(timings)} frames"
        raise InputError(video.output, cause, "try another --codec")


def _encoded_packets(segments: Segments, rate: Fraction) -> Iterator[Packet]:
    """The packets of all segments in order; their pts count the video's frames."""
    base = 0
    for index, record in enumerate(segments.records):
        with av.open(file_url(segments.encoded(index)), format="nut") as encoded:
            yield from number_frames(encoded.demux(), rate, base)
        base += len(record.timings)


def _clip(video: CheckedVideo, timings: list[Timing]) -> Clip:
    """What is kept of the other streams: exactly from the first frame to the end of the last one.

    If the video ends long before `--end`, nothing of it was cut off, and audio may be longer than it.
    """
    clock, asked = video.info.time_base, video.clip
    start = timings[0].pts * clock if asked.start is not None else None
    end = (timings[-1].pts + timings[-1].duration) * clock
    is_cut = asked.end is not None and asked.end < end + LATEST_END
    return Clip(start, end if is_cut else asked.end)
