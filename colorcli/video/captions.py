"""EIA-608/708 captions in the picture's stream (ATSC A/53 part 4): read from packets and written into others.

Encoders write them from the side data of frames, which raw video on its way to ffmpeg cannot carry.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import av
from av.packet import Packet

from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.probe import open_video, video_stream

_IDENTIFIER = b"GA94\x03"
"""ATSC_identifier and user_data_type_code of captions."""
_COUNT, _PROCESS = 0x1F, 0x40
"""Bits of the byte that follows: how many triplets there are, and that they are to be processed."""
_RESERVED, _END = b"\xff", b"\xff"
_REGISTERED = b"\xb5\x00\x31" + _IDENTIFIER
"""Beginning of the SEI message: country (USA) and provider (ATSC) by ITU-T T.35."""
_USER_DATA_REGISTERED = 4
"""The SEI message's payloadType (H.264 D.1, H.265 D.2)."""
_ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_MPEG2_USER_DATA = b"\0\0\1\xb2"
_H264_SEI, _HEVC_SEI = b"\0\0\0\1\x06", b"\0\0\0\1\x4e\x01"
_FIRST_SLICE = {
    "h264": re.compile(rb"\x00?\x00\x00\x01[\x01\x05\x21\x25\x41\x45\x61\x65]"),
    "hevc": re.compile(rb"\x00?\x00\x00\x01[\x00-\x3f]"),
    "mpeg2video": re.compile(rb"\x00\x00\x01[\x01-\xaf]"),
}
"""Codec -> start code of a slice, before which captions stand."""
_ESCAPING = ("h264", "hevc")
_WRITERS = ("264", "265", "hevc", "mpeg2video")
"""Parts of the names of encoders whose packets captions can be written into."""


@lru_cache(maxsize=64)  # planning asks first, the run itself again
def read_captions(path: Path) -> dict[int | None, bytes]:
    """The captions (cc_data, three bytes each) of a video's frames, by pts; None: of those without one."""
    found: dict[int | None, bytes] = {}
    with open_video(path) as container:
        stream = video_stream(container, path)
        codec = stream.codec_context.name
        if codec not in (*_FIRST_SLICE, "mpeg1video"):
            return {}
        with suppress(av.FFmpegError):  # a damaged end is reported when it is decoded
            for packet in demux(container, scan_packets(path), stream):
                data = bytes(packet)
                if _IDENTIFIER in data:
                    data = data.replace(b"\0\0\3", b"\0\0") if codec in _ESCAPING else data
                    found[packet.pts] = found.get(packet.pts, b"") + _triplets(data)
    return found


def loses_captions(path: Path, encoder: str) -> bool:
    """Whether a video has captions that cannot be written into an encoder's packets."""
    captions = read_captions(path)
    return None in captions or (bool(captions) and not any(part in encoder for part in _WRITERS))


def insert_captions(
    packets: Iterable[Packet], codec: str, captions_of: Callable[[int], bytes | None]
) -> Iterator[Packet]:
    """Write captions into an encoder's packets, whose pts are frame numbers.

    Args:
        codec: the packets' codec; those of other codecs than H.264, HEVC and MPEG-2 stay as they are.
        captions_of: the triplets of a frame by its number.
    """
    for packet in packets:
        triplets = captions_of(packet.pts) if packet.size and packet.pts is not None else None
        yield _with_captions(packet, codec, triplets) if triplets and codec in _FIRST_SLICE else packet


def _triplets(data: bytes) -> bytes:
    """The triplets of all captions in a packet; it has two of a frame of two fields."""
    triplets = b""
    for found in re.finditer(re.escape(_IDENTIFIER), data):
        head = found.end()
        count = data[head] & _COUNT if head < len(data) else 0
        triplets += data[head + 2 : head + 2 + 3 * count]
    return triplets


def _with_captions(packet: Packet, codec: str, triplets: bytes) -> Packet:
    data = bytes(packet)
    slice_start = _FIRST_SLICE[codec].search(data)
    if slice_start is None:
        return packet
    units = b""
    for first in range(0, len(triplets), 3 * _COUNT):
        units += _unit(codec, triplets[first : first + 3 * _COUNT])
    place = slice_start.start()
    changed = Packet(data[:place] + units + data[place:])
    changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
    changed.time_base, changed.is_keyframe = packet.time_base, packet.is_keyframe
    return changed


def _unit(codec: str, triplets: bytes) -> bytes:
    """A NAL unit or user data with at most 31 triplets."""
    body = bytes([_PROCESS | len(triplets) // 3]) + _RESERVED + triplets + _END
    if codec == "mpeg2video":
        return _MPEG2_USER_DATA + _IDENTIFIER + body
    message = _REGISTERED + body
    payload = bytes([_USER_DATA_REGISTERED, len(message)]) + message + b"\x80"
    return (_H264_SEI if codec == "h264" else _HEVC_SEI) + _ESCAPE.sub(b"\0\0\3", payload)
