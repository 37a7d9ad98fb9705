"""Every frame of a video file or of standard input, with its time, and the other streams' packets."""

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorcli.errors import InputError
from colorcli.files import STDIO
from colorcli.video.format_changes import FormatAdapter
from colorcli.video.frames import Frame, Timing
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.part import WARM_UP, Place
from colorcli.video.pixel_formats import samples
from colorcli.video.probe import open_video, probe, video_stream
from colorcli.video.sources.base import FrameSource
from colorcli.video.sources.damage import Checksums, make_strict

_UNREADABLE_REMEDY = "check that it is whole; through a pipe, send mkv, nut, y4m or ts, not mp4"
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_DIGESTED = 1 << 20
"""Bytes at either end of a file that identify it."""


class _DamageError(Exception):
    """A packet cannot be decoded."""


class VideoFileSource(FrameSource):
    """A video file, or standard input."""

    container: InputContainer

    def __init__(self, path: Path, *, keep_packets: bool) -> None:
        """`keep_packets`: collect the other streams' packets in `packets`.

        Raises:
            InputError: it cannot be read as video.
            RefusedError: its color system is not supported.
        """
        super().__init__(path)
        self.scan = scan_packets(path)
        self._keep_packets = keep_packets
        self._kept = 0
        self._opened: list[InputContainer] = []
        self._decoded: Iterator[VideoFrame]
        self._next: int | None
        """Number of the next frame to be decoded, None while it is not known."""
        self._sought: int | None
        """The pts from which frames are wanted, None for all."""
        self._sent = 0
        """Packets of wanted frames given to the decoder; each has a frame, unless something is wrong."""
        try:
            self._open()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(path, "none of its frames can be decoded", "check that the file is whole")
            self._decoded = chain([first], self._decoded)
            self.info = probe(self.container, path, first)
        except BaseException:
            self.close()
            raise

    def frames(self, near: Place | None = None) -> Iterator[Frame]:
        latest: int | None = None
        usual = self.info.frame_ticks
        adapter = FormatAdapter(self.info, self.notes)
        first = 0 if near is None else self._seek(near)
        is_rising = True
        for number, picture in enumerate(self._decoded, first):
            pts = picture.pts
            # Streams without usable times (raw H.264, broken muxers) still keep every frame.
            if pts is None:
                pts = 0 if latest is None else latest + usual
            elif latest is not None and pts <= latest:
                if is_rising:
                    is_rising = False
                    cause = f"frame {number} is not later than the one before"
                    self.notes.append(f"{cause}; such frames are shown right after it")
                pts = latest + 1
            latest = pts
            timing = Timing(pts, picture.duration or usual)
            yield Frame(number, timing, adapter.adapt(number, picture))

    def identity(self) -> str:
        """A digest of size, first and last megabyte: quick, and tied to the content instead of a date."""
        size = self.path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with self.path.open("rb") as file:
            digest.update(file.read(_DIGESTED))
            file.seek(max(0, size - _DIGESTED))
            digest.update(file.read(_DIGESTED))
        return digest.hexdigest()

    def reopen(self) -> "VideoFileSource":
        return VideoFileSource(self.path, keep_packets=False)

    @property
    def origin(self) -> Fraction:
        return Fraction(self.container.start_time or 0, av.time_base) + self.scan.shifts[0]

    def close(self) -> None:
        for container in self._opened:
            container.close()

    @property
    def _repeats(self) -> bool:
        """Whether packets without bytes stand for the frame before, as in Theora."""
        return self._stream.codec_context.name == "theora"

    def restart(self) -> None:
        """Read from the beginning again."""
        self._open()

    def _open(self, *, tolerant: bool = False) -> None:
        """Open the file at its beginning; `tolerant`: with a decoder that loses no frame after damage.

        Earlier containers stay open: the output's streams refer to them.
        """
        self.container = open_video(self.path)
        self._opened.append(self.container)
        self._stream = video_stream(self.container, self.path)
        if not self._keep_packets:
            _discard_others(self.container, self._stream)
        name = self._stream.codec_context.name
        # Threads for frames would delay them beyond the packets that repeat them.
        self._stream.thread_type = "AUTO" if self.path != STDIO and not self._repeats else "SLICE"
        # Threads for slices hide errors in VP9. dav1d's own threads lose no frames.
        if (tolerant and name != "libdav1d") or (name == "vp9" and self.path == STDIO):
            self._stream.codec_context.thread_count = 1
        self._alpha_decoder = _alpha_decoder(self._stream)
        self._lenient_decoder = make_strict(self._stream)
        self._checksums = Checksums() if name == "ffv1" else None
        self.damaged = 0
        self._next, self._sought = 0, None
        self._decoded = self._decode(tolerant=tolerant)

    def _seek(self, place: Place) -> int:
        """Go to a frame a few frames before a place; its number, 0 where the file cannot be sought."""
        with suppress(av.FFmpegError, _DamageError):
            earlier: deque[VideoFrame] = deque(maxlen=WARM_UP + 1)
            # Where the container states no duration, FFmpeg guesses those of frames from all frames before.
            if self.scan.is_regular and self.container.duration is not None:
                self.container.seek(place.earlier_pts, stream=self._stream)
                self._stream.codec_context.flush_buffers()
                self._alpha_decoder = _alpha_decoder(self._stream)
                self._next, self._sought = None, place.pts
                decoded = self._decode(tolerant=False)
                for picture in decoded:
                    earlier.append(picture)
                    if picture.pts is None or picture.pts >= place.pts:
                        break
            if earlier and earlier[-1].pts == place.pts:
                self._next = place.number + 1
                self._decoded = chain(earlier, decoded)
                return place.number + 1 - len(earlier)
        self.restart()
        return 0

    def _decode(self, *, tolerant: bool) -> Iterator[VideoFrame]:
        """All frames; after the first damage once more from the beginning with a decoder that loses none.

        PyAV drops the frames that a decoder with threads for frames has ready when it reports an error, the
        more of them the more cores there are. At the end it drops the error, too: then frames are missing.

        Raises:
            _DamageError: a packet is damaged, and the number of the next frame is not known.
        """
        # Standard input cannot be read a second time.
        is_strict = not tolerant and self.path != STDIO
        count = 0
        try:
            for picture in self._decode_packets(stop=is_strict):
                count += self._is_wanted(picture)
                if self._next is not None:
                    self._next += 1
                yield picture
            if is_strict and count < self._sent:
                raise _DamageError
        except _DamageError:
            number = self._next
            if number is None:
                raise
            self._open(tolerant=True)
            yield from islice(self._decoded, number, None)

    def _is_wanted(self, one: VideoFrame | Packet) -> bool:
        return self._sought is None or one.pts is None or one.pts >= self._sought

    def _decode_packets(self, *, stop: bool) -> Iterator[VideoFrame]:
        """Decode all packets.

        Raises:
            _DamageError: a packet is damaged, and `stop` is true.
        """
        others = self._sent = 0
        latest: VideoFrame | None = None
        for packet in self._demux():
            # Not packet.stream_index: the last, empty packet, which flushes the decoder, does not set it.
            if packet.stream.index != self._stream.index:
                others += 1
                if others > self._kept:
                    self.packets.append(packet)
                    self._kept = others
                continue
            if not packet.size and packet.pts is not None:  # to the decoder it would be the end of the stream
                if latest is not None and self._repeats:
                    yield _repeated(latest, packet)
                continue
            self._sent += bool(packet.size) and self._is_wanted(packet)
            wrong = self._checksums.count_damaged(packet) if self._checksums and packet.size else 0
            before = self.damaged
            self.damaged += wrong
            try:
                pictures = self._decode_packet(packet, tolerant=not stop)
            except av.FFmpegError as error:
                if stop:
                    raise _DamageError from error
                self.damaged += not wrong
                continue
            if self.damaged == before:  # else the frames are those of a packet that is counted already
                self.damaged += sum(picture.is_corrupt for picture in pictures)
            latest = pictures[-1] if pictures else latest
            yield from pictures

    def _decode_packet(self, packet: Packet, *, tolerant: bool) -> list[VideoFrame]:
        """The frames that are ready; `tolerant`: frames without alpha where those with it are damaged."""
        if self._alpha_decoder is None:
            return self._decode_opaque(packet, tolerant=tolerant)
        # FFmpeg's own decoders, which drop the alpha, must see every packet to take over after damage.
        opaque: list[VideoFrame] = packet.decode() if tolerant else []
        try:
            # Both libvpx decoders give each frame at once: the empty packet has nothing to flush.
            return self._alpha_decoder.decode(packet) or opaque
        except av.FFmpegError:
            if not tolerant:
                raise
            self.damaged += 1
            return opaque

    def _decode_opaque(self, packet: Packet, *, tolerant: bool) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.FFmpegError:
            if self._lenient_decoder is None or not tolerant:
                raise
            self.damaged += 1
            return self._lenient_decoder.decode(packet)

    def _demux(self) -> Iterator[Packet]:
        """Packets to the end of the file, or to where it breaks off."""
        packets = demux(self.container, self.scan, *([] if self._keep_packets else [self._stream]))
        has_begun = False
        while True:
            try:
                packet = next(packets, None)
            except IndexError as error:
                cause = "a stream appears that the start of the pipe did not announce"
                raise InputError(self.path, cause, "save it as a file first") from error
            except av.FFmpegError as error:
                if has_begun:
                    self.damaged += 1
                    yield from self._flush()
                    return
                cause = f"cannot be read ({error.strerror})"
                raise InputError(self.path, cause, _UNREADABLE_REMEDY) from error
            if packet is None:
                return
            has_begun = True
            yield packet

    def _flush(self) -> Iterator[Packet]:
        """The empty packet that ends decoding."""
        packet = Packet()
        packet.stream = self._stream
        yield packet


def _discard_others(container: InputContainer, wanted: VideoStream) -> None:
    """Have the demuxer skip the other streams, whose missing end would hide the end of this one."""
    for stream in container.streams:
        if stream.index != wanted.index:
            stream.discard = Discard.all


def _repeated(frame: VideoFrame, packet: Packet) -> VideoFrame:
    """A copy of a frame at the time of a packet."""
    copy = VideoFrame(frame.width, frame.height, frame.format.name)
    for target, plane in zip(copy.planes, frame.planes, strict=True):
        samples(target, np.uint8)[:] = samples(plane, np.uint8)
    copy.color_range = frame.color_range
    copy.pts, copy.time_base, copy.duration = packet.pts, frame.time_base, packet.duration or 0
    return copy


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder for WebM video with transparency, which FFmpeg's own VP8 and VP9 decoders drop; else None."""
    if stream.metadata.get("alpha_mode") != "1" or stream.codec_context.name not in _ALPHA_DECODERS:
        return None
    decoder = av.CodecContext.create(_ALPHA_DECODERS[stream.codec_context.name], "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder
