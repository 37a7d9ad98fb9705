"""Photoshop's image resources, in which PSD, JPEG, TIFF and PNG keep IPTC records (Adobe, 2019)."""

import struct
from collections.abc import Iterator

IPTC = 1028
SIGNATURES = (b"8BIM", b"MeSa", b"AgHg", b"DCSR", b"PHUT")
"""All but the first are of other programs, and mean the same."""


def read_resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each resource, up to one that is damaged."""
    at = 0
    while at + 12 <= len(data) and data[at : at + 4] in SIGNATURES:
        (number,) = struct.unpack_from(">H", data, at + 4)
        start = at + 6 + (data[at + 6] + 2) // 2 * 2
        size = int.from_bytes(data[start : start + 4], "big")
        yield number, data[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2


def iptc_in(data: bytes) -> bytes | None:
    """The IPTC records among resources."""
    return next((content for number, content in read_resources(data) if number == IPTC), None) or None


def resource_with_iptc(records: bytes) -> bytes:
    """IPTC records as a resource without a name."""
    return struct.pack(">4sHHI", SIGNATURES[0], IPTC, 0, len(records)) + records + b"\0" * (len(records) % 2)
