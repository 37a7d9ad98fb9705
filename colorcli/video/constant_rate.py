"""What containers without times cannot hold: frames at uneven distances, and sound that is late or has gaps.

In MXF, DV, GXF, Ogg, Y4M and bare streams, a frame's number gives its time. FFmpeg's muxers silently drop
times that do not fit, and those of MXF and DV end the picture with the sound and cut longer sound off.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av

from colorcli.errors import RefusedError
from colorcli.video.containers import ONE_LENGTH, keeps_times
from colorcli.video.info import VideoInfo
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.probe import open_video
from colorcli.video.streams import StreamChoice
from colorcli.video.trim import Clip

_NOTICED = Fraction(1, 5)
"""Of a frame's length: more than what rounding to milliseconds moves it at any usual rate."""
_REMEDY = "name the output .mkv or .mov"


def check_constant_rate(info: VideoInfo, format_name: str, wanted: StreamChoice, clip: Clip) -> Iterator[str]:
    """What to note about a container that does not keep times.

    Raises:
        RefusedError: the streams would not fit together any more.
    """
    if keeps_times(format_name) and format_name != "avi":
        return
    tracks = _tracks(info.source, clip)
    picture = tracks.get(info.stream)
    if picture is None:
        return
    if format_name == "avi":
        yield from _check_ticks(info, sorted(picture.times))
        return
    uneven = _unevenness(picture.times, 1 / info.rate)
    if uneven > 1 / info.rate / 2:
        cause = f"has frames {float(uneven):.2f} s off an even rate, and {format_name} holds no times"
        if wanted.indices:
            raise RefusedError(info.source, cause, _REMEDY)
        yield f"{cause}: they follow each other evenly"
    if format_name in ONE_LENGTH:
        for index in sorted(wanted.indices & tracks.keys()):
            fault = _fault(tracks[index], picture, 1 / info.rate)
            if fault:
                remedy = f"{_REMEDY}, or give --drop {index}"
                raise RefusedError(
                    info.source, f"stream {index} {fault}, as none may in {format_name}", remedy
                )
            longer = tracks[index].end - picture.end
            if longer >= 1 / info.rate and clip.end is None:
                excess = f"is {float(longer):.2f} s longer than the picture"
                yield f"stream {index} {excess}, which {format_name} cuts off"


def _check_ticks(info: VideoInfo, times: list[Fraction]) -> Iterator[str]:
    """Check times for AVI, where each frame has a place of its own among those of a constant rate.

    Raises:
        RefusedError: two frames would have the same place.
    """
    places = [round((time - times[0]) * info.rate) for time in times]
    if any(a == b for a, b in pairwise(places)):
        cause = f"has frames closer than 1/{float(info.rate):g} s, the least distance in avi"
        raise RefusedError(info.source, cause, _REMEDY)
    moved = max(abs(time - times[0] - place / info.rate) for time, place in zip(times, places, strict=True))
    if moved * info.rate > _NOTICED:
        yield f"frames move by up to {float(moved):.3f} s to the constant rate of avi"


def _unevenness(times: list[Fraction], step: Fraction) -> Fraction:
    """How far any frame is off the place that its number gives it, in seconds."""
    times = sorted(times)
    return max(abs(time - times[0] - number * step) for number, time in enumerate(times))


def _fault(track: "_Track", picture: "_Track", step: Fraction) -> str | None:
    """How a stream differs from the picture, in words; None where it fits to within a frame."""
    missing, late = picture.end - track.end, min(track.times) - min(picture.times)
    gaps = track.end - min(track.times) - track.length
    if missing >= step:
        return f"ends {float(missing):.2f} s before the picture"
    if abs(late) >= step:
        return f"begins {float(abs(late)):.2f} s {'after' if late > 0 else 'before'} the picture"
    return f"has gaps of {float(gaps):.2f} s" if gaps >= step else None


@dataclass
class _Track:
    """When the packets of a stream are shown, in seconds."""

    times: list[Fraction] = field(default_factory=list)
    end: Fraction = Fraction(0)
    length: Fraction = Fraction(0)
    """What all packets last together."""

    def add(self, start: Fraction, duration: Fraction) -> None:
        self.times.append(start)
        self.end = max(self.end, start + duration)
        self.length += duration


@lru_cache(maxsize=64)  # planning asks first, the run itself again
def _tracks(source: Path, clip: Clip) -> dict[int, _Track]:
    """The streams whose packets have times, by index."""
    tracks: defaultdict[int, _Track] = defaultdict(_Track)
    with open_video(source) as container, suppress(av.FFmpegError):  # damage is reported when it is decoded
        for packet in demux(container, scan_packets(source)):
            ticks = packet.pts if packet.pts is not None else packet.dts
            if packet.size and ticks is not None and packet.time_base and clip.holds(packet):
                duration = (packet.duration or 0) * packet.time_base
                tracks[packet.stream_index].add(ticks * packet.time_base, duration)
    return dict(tracks)
