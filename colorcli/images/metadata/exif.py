"""The little of Exif that has to be understood: the orientation of a picture, and where its thumbnail is."""

import struct
from collections.abc import Callable

ORIENTATION = 274
UPRIGHT = 1
THUMBNAIL_OFFSET, THUMBNAIL_SIZE = 513, 514
LONG = 4


def orientation(tiff: bytes | None) -> int:
    """Tag 274 of a TIFF-structured Exif block, 1 to 8; 1 if it is missing or invalid."""
    found = _orientation_at(tiff) if tiff else None
    value = struct.unpack_from(*found)[0] if found else UPRIGHT
    return value if 1 <= value <= 8 else UPRIGHT


def upright(tiff: bytes | None) -> bytes | None:
    """The block for pixels that have been turned upright."""
    found = _orientation_at(tiff) if tiff else None
    if tiff is None or found is None:
        return tiff
    layout, _, at = found
    return tiff[:at] + struct.pack(layout, UPRIGHT) + tiff[at + 2 :]


def _orientation_at(tiff: bytes) -> tuple[str, bytes, int] | None:
    """Layout, block and position of the value of tag 274; None if it is missing."""
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(count):
            at = start + 2 + 12 * entry
            tag, kind, _, _ = struct.unpack_from(order + "HHIH", tiff, at)
            if tag == ORIENTATION and kind == 3:
                return order + "H", tiff, at + 8
    except struct.error:
        pass
    return None


def replace_thumbnail(tiff: bytes, replacement: Callable[[bytes], bytes | None]) -> bytes:
    """The block with its JPEG thumbnail replaced by what `replacement` makes of the old one.

    A new thumbnail that is no larger takes the old one's place, so that nothing else moves. For a larger one,
    or None, the directory of the thumbnail is unlinked.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        link = first + 2 + 12 * count
        (second,) = struct.unpack_from(order + "I", tiff, link)
        if second == 0:
            return tiff
        positions = _long_tags(tiff, second, order)
        (start,), (size,) = (
            struct.unpack_from(order + "I", tiff, positions[tag])
            for tag in (THUMBNAIL_OFFSET, THUMBNAIL_SIZE)
        )
    except (struct.error, KeyError):
        return tiff  # no thumbnail that a reader could find
    result = bytearray(tiff)
    new = replacement(tiff[start : start + size])
    if new is None or len(new) > size or start + size > len(tiff):
        struct.pack_into(order + "I", result, link, 0)
        return bytes(result)
    result[start : start + size] = new.ljust(size, b"\0")
    struct.pack_into(order + "I", result, positions[THUMBNAIL_SIZE], len(new))
    return bytes(result)


def _long_tags(tiff: bytes, directory: int, order: str) -> dict[int, int]:
    """Positions of the values of a directory's tags of one LONG; raises struct.error if it is truncated."""
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    positions = {}
    for entry in range(count):
        at = directory + 2 + 12 * entry
        tag, kind, number = struct.unpack_from(order + "HHI", tiff, at)
        if kind == LONG and number == 1:
            positions[tag] = at + 8
    return positions
