"""Every frame of a video file or of standard input, with its time, and the other streams' packets."""

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorcli.errors import InputError
from colorcli.video.frames import Frame, Timing
from colorcli.video.probe import open_video, probe, video_stream
from colorcli.video.sources.base import FrameSource

_UNREADABLE_REMEDY = "check that it is whole; through a pipe, send mkv, nut, y4m or ts, not mp4"
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_DIGESTED = 1 << 20
"""Bytes at either end of a file that identify it."""


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
        self.container = open_video(path)
        try:
            self._keep_packets = keep_packets
            self._stream = video_stream(self.container, path)
            self._stream.thread_type = "AUTO"
            self._alpha_decoder = _alpha_decoder(self._stream)
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(path, "none of its frames can be decoded", "check that the file is whole")
            self._first = first
            self.info = probe(self.container, path, first)
        except BaseException:
            self.container.close()
            raise

    def frames(self) -> Iterator[Frame]:
        latest: int | None = None
        usual = self.info.frame_ticks
        for number, picture in enumerate(self._pictures()):
            pts = picture.pts
            if pts is None or (latest is not None and pts <= latest):
                # Streams without usable times (raw H.264, broken muxers) still keep every frame.
                pts = 0 if latest is None else latest + 1 if pts is not None else latest + usual
            latest = pts
            yield Frame(number, Timing(pts, picture.duration or usual), picture)

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
        return Fraction(self.container.start_time or 0, av.time_base)

    def _pictures(self) -> Iterator[VideoFrame]:
        yield self._first
        yield from self._decoded

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._demux():
            # Not packet.stream_index: the last, empty packet, which flushes the decoder, does not set it.
            if packet.stream.index != self._stream.index:
                self.packets.append(packet)
                continue
            try:
                # Both libvpx decoders give each frame at once: the empty packet has nothing to flush.
                alpha = self._alpha_decoder
                yield from packet.decode() if alpha is None else alpha.decode(packet)
            except av.InvalidDataError:
                self.damaged += 1

    def _demux(self) -> Iterator[Packet]:
        """Packets to the end of the file, or to where it breaks off."""
        packets = self.container.demux(*([] if self._keep_packets else [self._stream]))
        has_begun = False
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                if has_begun:
                    self.damaged += 1
                    return
                cause = f"cannot be read ({error.strerror})"
                raise InputError(self.path, cause, _UNREADABLE_REMEDY) from error
            if packet is None:
                return
            has_begun = True
            yield packet


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder for WebM video with transparency, which FFmpeg's own VP8 and VP9 decoders drop; else None."""
    if stream.metadata.get("alpha_mode") != "1" or stream.codec_context.name not in _ALPHA_DECODERS:
        return None
    decoder = av.CodecContext.create(_ALPHA_DECODERS[stream.codec_context.name], "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder
