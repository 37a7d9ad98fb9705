"""Frames out of a film, every one, with their times; the other streams' packets on the side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorcli.errors import InputError, UsageError
from colorcli.video.info import VideoInfo, open_video, survey, video_stream
from colorcli.video.muxer import Clip, Timing
from colorcli.video.timecode import Timecode, parse_timecode

Filter = Callable[[VideoFrame | None], Iterable[VideoFrame]]
"""Takes each frame, at the end None, and gives what frames are ready by then."""
UNPIPED = "check that it is whole; through a pipe, send mkv, nut, y4m or ts, not mp4"
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
LATE = Fraction(1)
"""Seconds that a picture may end before its header says so, until the film counts as cut short."""


@dataclass(frozen=True)
class Frame:
    """One frame of the film."""

    number: int
    """Counted from 0 at the film's start, whatever is trimmed."""
    timing: Timing
    picture: VideoFrame


class VideoReader:
    """A film being read from a file or standard input; a context manager."""

    def __init__(self, source: Path, *, keep_packets: bool) -> None:
        """`keep_packets`: collect the other streams' packets in `packets` while reading.

        Raises:
            InputError: not a film that can be read.
            RefusedError: its color system is not supported.
        """
        self.source = source
        self.container = open_video(source)
        self.packets: deque[Packet] = deque()
        self.damaged = 0
        """Packets that could not be decoded."""
        self._keep_packets, self._has_begun = keep_packets, False
        self._stream = video_stream(self.container, source)
        self._stream.thread_type = "AUTO"
        self._alpha_decoder = alpha_decoder(self._stream)
        self._decoded = self._decode()
        first = next(self._decoded, None)
        if first is None:
            raise InputError(source, "no frame of it can be decoded", "check that the file is whole")
        self._first = first
        self.info = survey(self.container, source, first)

    def frames(self) -> Iterator[Frame]:
        """All frames, in the order they are shown; may be asked for once."""
        latest: int | None = None
        duration = max(1, round(1 / (self.info.rate * self.info.time_base)))
        number = -1
        for number, picture in enumerate(self._all()):
            pts = picture.pts
            if pts is None or (latest is not None and pts <= latest):
                # Streams without usable times (raw H.264, broken muxers) still keep every frame.
                pts = 0 if latest is None else latest + 1 if pts is not None else latest + duration
            latest = pts
            yield Frame(number, Timing(pts, picture.duration or duration), picture)

    def is_cut_short(self, last: Timing) -> bool:
        """Whether the header promises more picture than was found up to `last`."""
        stream = self._stream
        if not stream.duration or stream.time_base is None:
            return False
        promised = (stream.start_time or 0) + stream.duration
        return (promised - last.pts - last.duration) * stream.time_base > LATE

    def close(self) -> None:
        self.container.close()

    def _all(self) -> Iterator[VideoFrame]:
        yield self._first
        yield from self._decoded

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._demuxed():
            # Not packet.stream_index: the last, empty packet, which flushes the decoder, does not set it.
            if packet.stream.index != self._stream.index:
                self.packets.append(packet)
                continue
            try:
                # Both libvpx decoders give each frame at once: none is left for the empty packet to flush.
                alpha = self._alpha_decoder
                yield from packet.decode() if alpha is None else alpha.decode(packet)
            except av.InvalidDataError:
                self.damaged += 1

    def _demuxed(self) -> Iterator[Packet]:
        """Packets to the end, or to where the file breaks off."""
        packets = self.container.demux(*([] if self._keep_packets else [self._stream]))
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                if self._has_begun:
                    self.damaged += 1
                    return
                raise InputError(self.source, f"cannot be read ({error.strerror})", UNPIPED) from error
            if packet is None:
                return
            self._has_begun = True
            yield packet


def alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """What decodes a WebM film with its transparency, which FFmpeg's own VP8 and VP9 leave out; else None."""
    if stream.metadata.get("alpha_mode") != "1" or stream.codec_context.name not in ALPHA_DECODERS:
        return None
    decoder = av.CodecContext.create(ALPHA_DECODERS[stream.codec_context.name], "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def deinterlacer(info: VideoInfo) -> Filter:
    """bwdif (Bob Weaver, after BBC R&D's w3fdif), one frame out for each in, its time kept."""
    graph = av.filter.Graph()
    width, height, pix_fmt = info.width, info.height, info.pix_fmt
    source = graph.add(
        "buffer",
        video_size=f"{width}x{height}",
        pix_fmt=pix_fmt,
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


@dataclass(frozen=True)
class Trim:
    """Which frames are kept, as `--start` and `--end` say."""

    start: Timecode | None = None
    end: Timecode | None = None

    @classmethod
    def of(cls, start: str | None, end: str | None, rate: Fraction) -> "Trim":
        """Read the two flags.

        Raises:
            UsageError: one cannot be read, or the end is not after the start.
        """
        moments = [parse_timecode(text, rate) if text else None for text in (start, end)]
        trim = cls(*moments)
        if trim.start and trim.end and trim.end.in_seconds(rate) <= trim.start.in_seconds(rate):
            raise UsageError(f"--end {end}", f"is not after --start {start}", "give a later end")
        return trim

    def clip(self, info: VideoInfo, origin: Fraction) -> Clip:
        """What is kept of the other streams; `origin` is the film's first moment in seconds."""
        start, end = (
            None if moment is None else moment.in_seconds(info.rate) + origin
            for moment in (self.start, self.end)
        )
        return Clip(start, end)

    def keep(self, frames: Iterator[Frame], info: VideoInfo, origin: Fraction) -> Iterator[Frame]:
        for frame in frames:
            seconds = frame.timing.pts * info.time_base - origin
            if self.end and self.end.is_reached(frame.number, seconds):
                return
            if self.start is None or self.start.is_reached(frame.number, seconds):
                yield frame
