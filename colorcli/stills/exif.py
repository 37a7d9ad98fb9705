"""The little of Exif that has to be understood: which way up a picture is."""

import struct

ORIENTATION = 274
UPRIGHT = 1


def orientation(tiff: bytes | None) -> int:
    """Tag 274 of a TIFF-structured Exif block, 1 to 8; 1 where it is missing or makes no sense."""
    if tiff is None or tiff[:4] not in (b"II*\0", b"MM\0*"):
        return UPRIGHT
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(count):
            tag, kind = struct.unpack_from(order + "HH", tiff, start + 2 + 12 * entry)
            if tag == ORIENTATION and kind == 3:
                (value,) = struct.unpack_from(order + "H", tiff, start + 10 + 12 * entry)
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT
