"""The index of further images behind a JPEG (CIPA DC-007, Multi-Picture Format): its offsets, moved along.

Offsets count from the index's own header to images in the file's trailer, which moves when the first image
becomes larger.
"""

import struct

from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.tiff.directories import SIZES

ENTRIES = 0xB002
ENTRY_BYTES = 16


def find(data: bytes, trailer: int) -> int:
    """Bytes from the header of the index to the trailer, of so many bytes; 0 if there is no index."""
    at = _header(data)
    return len(data) - trailer - at if at else 0


def moved(image: bytes, distance: int, trailer: int) -> bytes:
    """A JPEG whose index was `distance` bytes before its trailer, with an index for where it is now."""
    at = _header(image)
    if not (distance and at and trailer):
        return image
    result = bytearray(image)
    order = "<" if image[at : at + 2] == b"II" else ">"
    try:
        start, count = _entries(image, at, order)
        for index in range(count):
            size, offset = struct.unpack_from(order + "II", image, start + ENTRY_BYTES * index + 4)
            if offset == 0:
                size = len(image)
            elif offset >= distance:
                offset += len(image) - at - distance
            struct.pack_into(order + "II", result, start + ENTRY_BYTES * index + 4, size, offset)
    except struct.error:
        return image
    return bytes(result)


def _header(data: bytes) -> int:
    """Where the index's byte order mark is; 0 if there is none."""
    at = 2
    while (found := seg.next_marker(data, at)) is not None and found[1] not in (seg.SOS, seg.EOI):
        start, marker = found
        if marker == seg.APP2 and data.startswith(seg.MPF, start + 4):
            return start + 4 + len(seg.MPF)
        at = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return 0


def _entries(data: bytes, at: int, order: str) -> tuple[int, int]:
    """Position and number of the entries; raises struct.error if the index is truncated."""
    (directory,) = struct.unpack_from(order + "I", data, at + 4)
    (count,) = struct.unpack_from(order + "H", data, at + directory)
    for entry in range(at + directory + 2, at + directory + 2 + 12 * count, 12):
        tag, kind, number, offset = struct.unpack_from(order + "HHII", data, entry)
        if tag == ENTRIES:
            return at + offset, number * SIZES.get(kind, 0) // ENTRY_BYTES
    return 0, 0
