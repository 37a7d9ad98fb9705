"""A JPEG file as its marker segments (ITU-T T.81, annex B): parsed, and joined again."""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from colorcli.images.codecs.damage import DamagedError, NoPictureError

SOI, EOI, SOS, DQT, DHT, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
PROGRESSIVE, PROGRESSIVE_ARITHMETIC = 0xC2, 0xCA
FIRST_WITH_SEGMENT = 0xC0
"""Markers below are reserved, and stand without a segment (T.81, table B.1)."""
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
FRAMES = frozenset({*range(0xC0, 0xD0)} - {DHT, 0xC8, 0xCC} | {0xF7})
"""Start-of-frame markers; the low nibble is the coding process: 0 to 2 are lossy and Huffman-coded. The last
is that of JPEG-LS (T.87)."""

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ICC = b"ICC_PROFILE\0"
ADOBE = b"Adobe"
PHOTOSHOP = b"Photoshop 3.0\0"
MPF = b"MPF\0"
LARGEST = 65533
"""Bytes that fit into one segment."""

# Entropy-coded data ends at the first marker that is neither a stuffed zero, a restart nor a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


_ZIGZAG = (
    0, 1, 5, 6, 14, 15, 27, 28, 2, 4, 7, 13, 16, 26, 29, 42,
    3, 8, 12, 17, 25, 30, 41, 43, 9, 11, 18, 24, 31, 40, 44, 53,
    10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38, 46, 51, 55, 60,
    21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63,
)  # fmt: skip
"""Row by row, the position of each coefficient in a file (T.81, figure A.6)."""


@dataclass(frozen=True)
class Segment:
    marker: int
    payload: bytes = b""
    """What follows the length field."""
    scan: bytes = b""
    """Entropy-coded data after a start of scan, restart markers included."""

    @property
    def is_metadata(self) -> bool:
        """Whether this is an application segment or a comment."""
        return 0xE0 <= self.marker <= 0xEF or self.marker == COM

    def to_bytes(self) -> bytes:
        if self.marker in (SOI, EOI):
            return bytes((0xFF, self.marker))
        head = struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2)
        return b"".join((head, self.payload, self.scan))


@dataclass(frozen=True)
class Component:
    identifier: int
    horizontal: int
    vertical: int
    table: int
    """Number of its quantization table."""


@dataclass(frozen=True)
class Frame:
    marker: int
    depth: int
    height: int
    width: int
    components: tuple[Component, ...]

    @classmethod
    def of(cls, segment: Segment) -> "Frame":
        """Raises DamagedError if the frame header is broken."""
        try:
            depth, height, width, count = struct.unpack_from(">BHHB", segment.payload)
            rows = [struct.unpack_from("3B", segment.payload, 6 + 3 * i) for i in range(count)]
        except struct.error as error:
            raise DamagedError("broken frame header") from error
        components = tuple(Component(name, size >> 4, size & 15, table) for name, size, table in rows)
        if not (height and width and components):
            raise DamagedError("frame without size")
        return cls(segment.marker, depth, height, width, components)

    def segment(self) -> Segment:
        rows = b"".join(
            bytes((part.identifier, part.horizontal << 4 | part.vertical, part.table))
            for part in self.components
        )
        head = struct.pack(">BHHB", self.depth, self.height, self.width, len(self.components))
        return Segment(self.marker, head + rows)


def parse(data: bytes) -> tuple[list[Segment], bytes]:
    """The segments of a JPEG from SOI to EOI, and what follows the EOI.

    Raises:
        DamagedError: this is not a JPEG, it is truncated, or it has several frames.
    """
    if data[:2] != b"\xff\xd8":
        raise DamagedError("not a JPEG")
    segments, at = [Segment(SOI)], 2
    while True:
        found = _MARKER.search(data, at)
        if found is None or data[at : found.start()].strip(b"\xff\0"):
            raise DamagedError("truncated, or broken between segments")
        marker, at = data[found.start() + 1], found.end()
        if marker == EOI:
            return [*segments, Segment(EOI)], data[at:]
        if marker < FIRST_WITH_SEGMENT or marker == SOI:
            raise DamagedError("truncated, or broken between segments")
        payload = data[at + 2 : (end := at + int.from_bytes(data[at : at + 2], "big"))]
        if end < at + 2 or end > len(data):
            raise DamagedError("truncated")
        if marker in FRAMES and any(segment.marker in FRAMES for segment in segments):
            raise DamagedError("it runs into another JPEG")
        scan = b""
        if marker == SOS:
            following = _MARKER.search(data, end)
            if following is None:
                raise DamagedError("truncated")
            scan, end = data[end : following.start()], following.start()
        segments.append(Segment(marker, payload, scan))
        at = end


def next_marker(data: bytes, at: int) -> tuple[int, int] | None:
    """Position and code of the next marker from `at` on that has a segment, or ends the image."""
    found = _MARKER.search(data, at)
    return None if found is None else (found.start(), data[found.start() + 1])


def frame_in(head: bytes) -> Frame:
    """The frame header among a file's first bytes; raises NoPictureError if there is none."""
    at = 2
    while (found := _MARKER.search(head, at)) is not None:
        marker = head[found.start() + 1]
        at = found.end() + int.from_bytes(head[found.end() : found.end() + 2], "big")
        if marker in FRAMES:
            return Frame.of(Segment(marker, head[found.end() + 2 : at]))
        if marker in (SOS, EOI):
            break
    raise NoPictureError


def frame_of(segments: Iterable[Segment]) -> Frame:
    """The frame header; raises NoPictureError if there is none."""
    for segment in segments:
        if segment.marker in FRAMES:
            return Frame.of(segment)
    raise NoPictureError


def join(segments: Iterable[Segment]) -> bytes:
    return b"".join(segment.to_bytes() for segment in segments)


def quantization_tables(segments: Iterable[Segment]) -> dict[int, list[int]]:
    """Quantization steps by table number, 64 each, row by row; raises DamagedError if one is broken."""
    tables = {}
    for segment in segments:
        at = 0
        while segment.marker == DQT and at < len(segment.payload):
            wide, number = divmod(segment.payload[at], 16)
            kind = ">64H" if wide else ">64B"
            if len(segment.payload) < at + 1 + struct.calcsize(kind):
                raise DamagedError("broken quantization table")
            steps = struct.unpack_from(kind, segment.payload, at + 1)
            tables[number] = [steps[position] for position in _ZIGZAG]
            at += 1 + struct.calcsize(kind)
    return tables


def is_icc(segment: Segment) -> bool:
    return segment.marker == APP2 and segment.payload.startswith(ICC) and len(segment.payload) > len(ICC) + 2


def icc_of(segments: Iterable[Segment]) -> bytes | None:
    """The ICC profile, joined from its parts (ICC.1:2022, annex B.4)."""
    parts = {
        segment.payload[len(ICC)]: segment.payload[len(ICC) + 2 :] for segment in segments if is_icc(segment)
    }
    return b"".join(parts[number] for number in sorted(parts)) or None


def icc_segments(profile: bytes) -> list[Segment]:
    room = LARGEST - len(ICC) - 2
    parts = [profile[at : at + room] for at in range(0, len(profile), room)]
    return [
        Segment(APP2, ICC + bytes((number, len(parts))) + part) for number, part in enumerate(parts, start=1)
    ]
