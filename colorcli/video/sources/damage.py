"""Damage that FFmpeg's decoders report only in their log, which PyAV cannot read safely."""

import zlib

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

_LOGS_DAMAGE = {"mjpeg"}
"""Decoders of keyframes that return damaged ones as if they were whole, unless told to be strict."""
_FOOTER = 8
"""Bytes after each slice of FFV1 with checksums: size (3), error status (1), CRC (4)."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_INVERTED_ZERO = 0xFFFFFFFF


def make_strict(stream: VideoStream) -> VideoCodecContext | None:
    """Have a stream's decoder report all damage as errors.

    Returns:
        A decoder for the packets that it rejects, None if it reports all damage anyway.
    """
    context = stream.codec_context
    if context.name not in _LOGS_DAMAGE:
        return None
    lenient = av.CodecContext.create(context.name, "r")
    assert isinstance(lenient, VideoCodecContext)
    lenient.extradata, lenient.codec_tag = context.extradata, context.codec_tag
    lenient.width, lenient.height = context.width, context.height
    context.options = {"err_detect": "explode"}
    return lenient


class Checksums:
    """Checks the CRCs of FFV1 packets (RFC 9043, section 4.9), which a stream may lack."""

    def __init__(self) -> None:
        self._has_any = False
        self._unclear = 0
        """Packets without a right checksum before the first with one."""

    def count_damaged(self, packet: Packet) -> int:
        """How many packets turn out to be damaged with this one."""
        if _checksums_match(bytes(packet)):
            damaged, self._unclear, self._has_any = self._unclear, 0, True
            return damaged
        self._unclear += not self._has_any
        return int(self._has_any)


def _checksums_match(data: bytes) -> bool:
    # FFV1 takes the most significant bit first; zlib the least significant, and inverts the CRC.
    data = data.translate(_REVERSED)
    end = len(data)
    while end >= _FOOTER:
        size = int.from_bytes(data[end - _FOOTER : end - _FOOTER + 3].translate(_REVERSED), "big")
        start = end - _FOOTER - size
        if start < 0 or zlib.crc32(memoryview(data)[start:end], _INVERTED_ZERO) != _INVERTED_ZERO:
            return False
        end = start
    return end == 0
