"""MXF holds streams of one length: FFmpeg's muxer ends the picture with the sound, and cuts longer sound."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av

from colorcli.errors import RefusedError
from colorcli.video.info import VideoInfo
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.probe import open_video
from colorcli.video.streams import StreamChoice
from colorcli.video.trim import Clip


def check_lengths(info: VideoInfo, wanted: StreamChoice, clip: Clip) -> Iterator[str]:
    """What to note about sound that is longer than the picture.

    Raises:
        RefusedError: sound ends before the picture, whose last frames would be lost.
    """
    ends = _stream_ends(info.source)
    picture = ends.get(info.stream, Fraction(0))
    picture = picture if clip.end is None else min(picture, clip.end)
    for index in sorted(wanted.indices & ends.keys()):
        missing = picture - ends[index]
        if missing >= 1 / info.rate:
            cause = f"stream {index} ends {float(missing):.2f} s before the picture, as none may in mxf"
            raise RefusedError(info.source, cause, f"name the output .mkv or .mov, or give --drop {index}")
        if -missing >= 1 / info.rate and clip.end is None:
            yield f"stream {index} is {float(-missing):.2f} s longer than the picture, which mxf cuts off"


@lru_cache(maxsize=64)  # planning asks first, the run itself again
def _stream_ends(source: Path) -> dict[int, Fraction]:
    """When the last packet of each stream ends, in seconds."""
    ends: dict[int, Fraction] = {}
    with open_video(source) as container, suppress(av.FFmpegError):  # damage is reported when it is decoded
        for packet in demux(container, scan_packets(source)):
            if packet.size and packet.pts is not None and packet.time_base:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                ends[packet.stream_index] = max(end, ends.get(packet.stream_index, end))
    return ends
