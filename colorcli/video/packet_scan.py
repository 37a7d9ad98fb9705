"""One pass over a file's packets before the work: streams that begin late, and clocks that restart.

No packet is decoded, so the pass takes about as long as reading the file. Recordings that were joined end to
end, cut, or interrupted have a clock that jumps; here each part gets a shift, the same for all streams, with
which the parts follow each other and sound keeps its offset to the picture.
"""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from colorcli.errors import InputError, RefusedError
from colorcli.files import STDIO

DEMUXERS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,nut,"
    "mjpeg,h261,h263,vc1,dirac,yuv4mpegpipe,mxf,gxf,dv,rm,gif,wtv,nsv,nuv,swf,"
    "image2,png_pipe,tiff_pipe,dpx_pipe,exr_pipe,j2k_pipe"
)
"""Demuxers that read one file and nothing else. Playlists (hls, concat, dash) open every file they name, even
from inside a file called .mp4, and a protocol whitelist does not stop them from opening local files."""
_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file,pipe,fd"}
_INDEXED = {"mov", "image2", "gif", "yuv4mpegpipe"}
"""Demuxers whose header states every stream and whose clock cannot jump."""
_DISCONTINUOUS = {"mpegts", "mpeg"}
"""Demuxers whose clock may jump by any amount; in others, a jump below `_LEAST_JUMP` is only imprecise."""
_LEAST_JUMP = 0.5
_LENGTH_STATED = {"matroska", "avi", "flv", "asf", "rm"}
"""Demuxers whose header states the length; others estimate it."""
_LEAST_LOSS = 0.5
"""Seconds by which the packets must end before the stated length, for something to be missing."""
_MILLISECOND = Fraction(1, 1000)
_LEAST_LAG = 0.1
"""Seconds by which times of sound must go back to be noted: at a join, packets overlap by less."""
_LEAST_GAP = 10.0
"""Seconds by which a clock must jump forward to count as started anew, as in ffmpeg."""
_NEARBY = 400
"""Packets of all streams around a jump within which the other streams' clocks jump, too."""
_MOST_PROBED = 1 << 30
"""Bytes that are read at most to find streams: FFmpeg keeps them in memory."""
_MARGIN = 4 << 20
_ALL_SECONDS = str(10**12)
"""An analyzeduration, in microseconds, that no file reaches."""
_UNKNOWN = -(1 << 62)


@dataclass(frozen=True)
class Jump:
    """Where the clock restarts."""

    frame: int
    """Video packet from which the new clock counts."""
    seconds: float
    """Time of the last packet before it, by the source's clock."""


@dataclass(frozen=True)
class PacketScan:
    """What the packets of a file say."""

    probe_size: int = 0
    """Bytes that FFmpeg must read to find all streams; 0 if its default is enough."""
    jumps: tuple[Jump, ...] = ()
    shifts: tuple[Fraction, ...] = (Fraction(0),)
    """Seconds to add to all times of each part."""
    starts: dict[int, list[int]] = field(default_factory=dict)
    """Stream index -> number of the stream's packet at which each part after the first begins."""
    lags: dict[int, float] = field(default_factory=dict)
    """Stream index -> seconds by which a packet is earlier than one before it, where that is much."""
    lengths: tuple[float, float] | None = None
    """Seconds that the packets last and that the header states, if something is missing."""

    def notes(self) -> Iterator[str]:
        """What the user should know about the clock and the length."""
        if self.lengths:
            last, stated = self.lengths
            yield f"ends after {last:.2f} s of the {stated:.2f} s that its header states: cut off or damaged"
        for jump in self.jumps:
            place = f"after {jump.seconds:.2f} s (frame {jump.frame})"
            yield f"the clock restarts {place}; the parts are joined"
        for index, seconds in self.lags.items():
            fault = f"has times up to {seconds:.2f} s before earlier ones"
            yield f"stream {index} {fault}; they are moved after them"
        if self.shifts[0]:
            yield f"the clock begins before 0; all times are moved by {float(self.shifts[0]):.3f} s"

    @property
    def is_regular(self) -> bool:
        return self.shifts == (Fraction(0),)


def open_container(source: Path, probe_size: int = 0) -> InputContainer:
    """Open a video, or standard input for `-`, so that it cannot make FFmpeg open other files.

    Raises:
        InputError: it is missing, not a video, or too damaged to be opened.
    """
    # "file:" keeps names such as -x.mp4, a:b.mp4 and %d.mp4 literal.
    name = "pipe:0" if source == STDIO else f"file:{source}"
    wide = {"probesize": str(probe_size), "analyzeduration": _ALL_SECONDS} if probe_size else {}
    try:
        options = {**_OPTIONS, **wide}
        return av.open(name, "r", container_options=options, metadata_errors="surrogateescape")
    except FileNotFoundError as error:
        raise InputError(source, "no such file", "check the name") from error
    except PermissionError as error:
        raise InputError(source, "may not be read", "check its permissions") from error
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(source, f"cannot be read as video ({reason})", "check that it is whole") from error


def scan_packets(source: Path) -> PacketScan:
    """Scan a file; standard input, which can be read only once, counts as regular.

    Raises:
        InputError: as `open_container`.
        RefusedError: a stream begins so late that it cannot be found.
    """
    if source == STDIO:
        return PacketScan()
    try:
        status = source.stat()
    except OSError:
        return PacketScan()
    return _scan(source, status.st_size, status.st_mtime_ns)


def demux(container: InputContainer, scan: PacketScan, *streams: Stream) -> Iterator[Packet]:
    """The packets of some streams, all if none is named, with times that rise across the parts."""
    counts: dict[int, int] = defaultdict(int)
    latest: dict[int, int] = {}
    for packet in container.demux(*streams):
        if not packet.size:
            yield packet
            continue
        index = packet.stream_index
        if not scan.is_regular:
            part = bisect_right(scan.starts.get(index, []), counts[index])
            _move(packet, scan.shifts[part])
            counts[index] += 1
        if packet.stream.type != "video" and packet.dts is not None:
            if index in latest and packet.dts <= latest[index] - int(scan.is_regular):
                packet.dts = latest[index] + _least_step(packet)
                packet.pts = packet.pts if packet.pts is None else max(packet.pts, packet.dts)
            latest[index] = packet.dts
        yield packet


def _least_step(packet: Packet) -> int:
    """Ticks between packets of sound that every container tells apart; other streams may share a time."""
    clock = packet.time_base
    return max(1, ceil(_MILLISECOND / clock)) if clock and packet.stream.type == "audio" else 0


def _move(packet: Packet, shift: Fraction) -> None:
    if packet.time_base is None:
        return
    ticks = round(shift / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


@lru_cache(maxsize=256)  # the file is opened several times
def _scan(source: Path, size: int, changed: int) -> PacketScan:
    probe_size = 0
    while True:
        with open_container(source, probe_size) as container:
            names = set(container.format.name.split(","))
            if names & _INDEXED:
                return PacketScan()
            tracks, missing_at = _read_tracks(container)
            if missing_at is None or probe_size >= size:
                scan = _find_parts(container, tracks, names, probe_size)
                return replace(scan, lengths=_unequal_lengths(container, tracks.values(), names))
        if missing_at + _MARGIN > _MOST_PROBED:
            cause = f"a stream begins {missing_at >> 20} MB into the file"
            raise RefusedError(source, cause, "convert it to mkv with ffmpeg -map 0 -c copy first")
        probe_size = max(missing_at + _MARGIN, 2 * probe_size)


@dataclass
class _Track:
    """The packets of one stream."""

    clock: Fraction
    """Seconds per tick."""
    order: "array[int]" = field(default_factory=lambda: array("q"))
    """Number of each packet among those of all streams."""
    dts: "array[int]" = field(default_factory=lambda: array("q"))
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    keys: "array[int]" = field(default_factory=lambda: array("b"))

    def seconds(self, name: str) -> NDArray[np.float64]:
        """One of the fields in seconds; NaN where it is unknown."""
        ticks = np.array(getattr(self, name), np.float64)
        ticks[ticks <= _UNKNOWN] = np.nan
        return ticks * float(self.clock)

    def shown(self) -> NDArray[np.float64]:
        """When each packet is shown: its pts, else its dts."""
        pts, dts = self.seconds("pts"), self.seconds("dts")
        return np.where(np.isnan(pts), dts, pts)

    def end(self) -> float:
        """When the last packet ends, in seconds; 0 if no packet has a time."""
        ends = self.shown() + self.seconds("durations")
        return float(np.nanmax(ends)) if not np.all(np.isnan(ends)) else 0.0


def _read_tracks(container: InputContainer) -> tuple[dict[int, _Track], int | None]:
    """The packets of all streams, and the position in bytes of a stream that opening did not find."""
    tracks = {
        stream.index: _Track(stream.time_base) for stream in container.streams if stream.time_base is not None
    }
    unknown = {stream.index for stream in container.streams if _lacks_parameters(stream)}
    position, first_unknown, order = 0, None, 0
    try:
        for packet in container.demux():
            if not packet.size:
                continue
            position = max(position, packet.pos or 0)
            index = packet.stream_index
            if index in unknown and first_unknown is None:
                first_unknown = position
            if (track := tracks.get(index)) is not None:
                track.order.append(order)
                track.dts.append(_UNKNOWN if packet.dts is None else packet.dts)
                track.pts.append(_UNKNOWN if packet.pts is None else packet.pts)
                track.durations.append(packet.duration or 0)
                track.keys.append(packet.is_keyframe)
            order += 1
    except IndexError:
        return tracks, position  # PyAV met a packet of a stream that began after opening
    except av.FFmpegError:
        pass  # damage is reported when the file is decoded
    if first_unknown is None and _count_streams(container) > len(container.streams):
        return tracks, position
    return tracks, first_unknown


def _lacks_parameters(stream: Stream) -> bool:
    context = stream.codec_context
    return stream.type == "audio" and context is not None and not getattr(context, "sample_rate", 1)


def _count_streams(container: InputContainer) -> int:
    """How many streams the container has by now; `container.streams` are those when it was opened."""
    return container.dumps_format().count("Stream #0:")  # type: ignore[attr-defined]


def _find_parts(
    container: InputContainer, tracks: dict[int, _Track], names: set[str], probe_size: int
) -> PacketScan:
    """The parts of the file by the clock of its first video stream."""
    covers = av.stream.Disposition.attached_pic
    videos = [stream.index for stream in container.streams.video if not stream.disposition & covers]
    video = tracks.get(videos[0]) if videos else None
    if video is None or not len(video.dts):
        return PacketScan(probe_size)
    starts = _joins(video, names)
    dts, shown = video.seconds("dts"), video.shown()
    shifts = [_first_shift(tracks.values(), shown, starts)]
    for begin, join, end in zip([0, *starts], starts, [*starts[1:], len(shown)], strict=False):
        before, after = shown[begin:join], shown[join:end]
        length = float(np.nanmedian(np.diff(np.sort(before)))) if len(before) > 1 else 0.04
        target = np.nanmax(before) + float(shifts[-1]) + length
        shifts.append(_ticks(target - np.nanmin(after), video.clock))
    others = {
        index: [_join_of(track, video, joins, dts) for joins in _neighbors(starts, len(shown))]
        for index, track in tracks.items()
        if track is not video
    }
    jumps = tuple(Jump(join, float(dts[join - 1])) for join in starts)
    lags = {index: _lag(tracks[index], found, shifts) for index, found in others.items()}
    noted = {index: lag for index, lag in lags.items() if lag > _LEAST_LAG}
    return PacketScan(probe_size, jumps, tuple(shifts), {videos[0]: starts, **others}, noted)


def _unequal_lengths(
    container: InputContainer, tracks: Iterable[_Track], names: set[str]
) -> tuple[float, float] | None:
    """Seconds that the packets last and that the header states, None if they are about the same."""
    if not names & _LENGTH_STATED or not container.duration:
        return None
    stated = container.duration / av.time_base
    last = max((track.end() for track in tracks if len(track.dts)), default=0.0)
    return (last, stated) if last < stated - _LEAST_LOSS else None


def _joins(video: _Track, names: set[str]) -> list[int]:
    """Numbers of the video packets at which the clock restarts."""
    dts = video.seconds("dts")
    if len(dts) < 3:
        return []
    steps = np.diff(dts)
    least = 0.0 if names & _DISCONTINUOUS else _LEAST_JUMP
    jumps = steps < -least
    if names & _DISCONTINUOUS:
        jumps |= steps > _LEAST_GAP
    found = []
    shown = video.shown()
    for join in np.flatnonzero(jumps) + 1:
        # A single time that is wrong does not make a new clock.
        following = dts[join + 1] - dts[join - 1] if join + 1 < len(dts) else 0.0
        lasts = (steps[join - 1] < 0) == (following < 0) and following != 0
        overlaps = video.keys[join] and shown[join] <= np.nanmax(shown[max(0, join - _NEARBY) : join])
        if lasts or (steps[join - 1] < 0 and overlaps):
            found.append(int(join))
    return found


def _first_shift(tracks: Iterable[_Track], shown: NDArray[np.float64], starts: list[int]) -> Fraction:
    """What brings a first part that starts before 0 to 0."""
    first = shown[: starts[0]] if starts else shown
    if np.all(np.isnan(first)) or np.nanmin(first) >= 0:
        return Fraction(0)
    earliest = [
        Fraction(int(track.pts[0] if track.pts[0] > _UNKNOWN else track.dts[0])) * track.clock
        for track in tracks
        if len(track.dts) and max(track.pts[0], track.dts[0]) > _UNKNOWN
    ]
    lowest = Fraction(str(round(float(np.nanmin(first)), 9)))
    return -min([lowest, *earliest])


def _neighbors(starts: list[int], count: int) -> Iterator[tuple[int, int, int]]:
    """Each start of a part with the one before and the one after it, or the last packet."""
    return zip([0, *starts], starts, [*starts[1:], count - 1], strict=False)


def _join_of(
    track: _Track, video: _Track, joins: tuple[int, int, int], video_dts: NDArray[np.float64]
) -> int:
    """Number of a stream's packet at which a part begins.

    `joins`: numbers of the video packets at which the part before, this part, and the next one begin.
    """
    order, join = np.array(track.order), joins[1]
    before, place, after = (video.order[number] for number in joins)
    # Not beyond the middle of the neighboring parts, where the next join may lie within reach.
    near = max(place - _NEARBY, (before + place) // 2), min(place + _NEARBY, (place + after) // 2)
    first, last = np.searchsorted(order, near)
    dts, durations = track.seconds("dts"), track.seconds("durations")
    jump = video_dts[join] - video_dts[join - 1] - video.durations[join - 1] * float(video.clock)
    if last > max(first, 1):
        begin = max(int(first), 1)
        apart = np.abs(dts[begin:last] - dts[begin - 1 : last - 1] - durations[begin - 1 : last - 1] - jump)
        if not np.all(np.isnan(apart)) and np.nanmin(apart) < min(0.5, abs(jump) / 2):
            return begin + int(np.nanargmin(apart))
    for number in range(int(first), int(last) if abs(jump) > 1 else 0):
        if abs(dts[number] - video_dts[join]) < abs(dts[number] - video_dts[join - 1]):
            return number
    return int(np.searchsorted(order, video.order[join]))


def _lag(track: _Track, starts: list[int], shifts: list[Fraction]) -> float:
    """How far a packet of a stream is behind an earlier one, in seconds."""
    dts = track.seconds("dts")
    for start, before, after in zip(starts, shifts, shifts[1:], strict=False):
        dts[start:] += float(after - before)
    dts = dts[~np.isnan(dts)]
    return float(np.max(np.maximum.accumulate(dts) - dts, initial=0.0))


def _ticks(seconds: float, clock: Fraction) -> Fraction:
    """A time rounded to a whole number of ticks."""
    return round(Fraction(seconds) / clock) * clock
