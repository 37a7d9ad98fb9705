"""The film and television headers of DPX pictures, copied from the source's picture to the output's.

SMPTE 268M-2003: the film header (manufacturer's codes, key code, frame position, rate) and the television
header (time code, user bits, rate). FFmpeg writes neither: its image data begins where they would be, and is
moved to make room.
"""

import math
import struct
from fractions import Fraction

FILM_HEADER, HEADER_END = 1664, 2048
"""Byte offsets: where the film header begins, and where the television header after it ends."""
_FILM_RATE, _TV_RATE = 1724, 1940
_NUMBERS = (range(1712, 1732, 4), range(1920, 1928, 4), range(1932, 1972, 4))
"""Offsets of the four-byte numbers in the two headers; all else is text and single bytes."""
_PLAUSIBLE_RATES = (1.0, 240.0)


def has_film_header(head: bytes) -> bool:
    """Whether a DPX picture, of which `head` is the first 2048 bytes, has both headers."""
    return len(head) >= HEADER_END and head[:4] in (b"SDPX", b"XPDS") and _number(head, 4) >= HEADER_END


def rate_of(head: bytes) -> Fraction | None:
    """Frames per second, None if not stated; undefined fields hold all ones, which is not a number."""
    for offset in (_FILM_RATE, _TV_RATE) if has_film_header(head) else ():
        (rate,) = struct.unpack_from(_byte_order(head) + "f", head, offset)
        if math.isfinite(rate) and _PLAUSIBLE_RATES[0] <= rate <= _PLAUSIBLE_RATES[1]:
            return _exact(rate)
    return None


def with_film_header(picture: bytes, head: bytes) -> bytes:
    """A DPX picture as FFmpeg writes it, with the film and television headers of another picture's `head`."""
    start = _number(picture, 4)
    if start != FILM_HEADER or not has_film_header(head):
        return picture
    order = _byte_order(picture)
    copied = bytearray(head[:HEADER_END])
    if order != _byte_order(head):
        for offset in (offset for offsets in _NUMBERS for offset in offsets):
            copied[offset : offset + 4] = copied[offset : offset + 4][::-1]
    result = bytearray(picture[:FILM_HEADER] + bytes(copied[FILM_HEADER:HEADER_END]) + picture[FILM_HEADER:])
    struct.pack_into(order + "I", result, 4, HEADER_END)
    # The only image element states the offset of its data a second time.
    struct.pack_into(order + "I", result, 808, HEADER_END)
    # File size, "new image", sizes of the generic and of the industry header.
    struct.pack_into(order + "IIII", result, 16, len(result), 1, FILM_HEADER, HEADER_END - FILM_HEADER)
    return bytes(result)


def _exact(rate: float) -> Fraction:
    """The fraction that a single-precision rate stands for: 23.976 is 24000/1001."""
    for exact in (Fraction(round(rate)), Fraction(round(rate) * 1000, 1001)):
        if abs(rate - exact) < 2e-3:
            return exact
    return Fraction(rate).limit_denominator(1000)


def _byte_order(head: bytes) -> str:
    return ">" if head[:4] == b"SDPX" else "<"


def _number(head: bytes, offset: int) -> int:
    (number,) = struct.unpack_from(_byte_order(head) + "I", head, offset)
    return int(number)
