"""What a DPX header says of the film it was scanned from, carried from picture to picture.

SMPTE 268M-2003: the film header (manufacturer's codes, key code, frame position, rate) and the television
header (time code, user bits, rate). FFmpeg writes neither: its pictures begin where they
would stand, and are moved to make room.
"""

import math
import struct
from fractions import Fraction

FILM, END = 1664, 2048
"""Where the film header begins, and where the television header after it ends."""
FILM_RATE, TV_RATE = 1724, 1940
NUMBERS = (range(1712, 1732, 4), range(1920, 1928, 4), range(1932, 1972, 4))
"""Offsets of what is of four bytes in them; all else is text and bytes."""
USUAL = (1.0, 240.0)


def has_film_header(head: bytes) -> bool:
    """Whether a DPX picture, of which `head` is the first 2048 bytes, has the two headers."""
    return len(head) >= END and head[:4] in (b"SDPX", b"XPDS") and _number(head, 4) >= END


def rate_of(head: bytes) -> Fraction | None:
    """Frames per second, None where it is not said; undefined fields hold all ones, which is no number."""
    for place in (FILM_RATE, TV_RATE) if has_film_header(head) else ():
        (rate,) = struct.unpack_from(_order(head) + "f", head, place)
        if math.isfinite(rate) and USUAL[0] <= rate <= USUAL[1]:
            return _exact(rate)
    return None


def with_film_header(picture: bytes, head: bytes) -> bytes:
    """A DPX picture as FFmpeg writes it, with the film and television headers of another."""
    start = _number(picture, 4)
    if start != FILM or not has_film_header(head):
        return picture
    order, added = _order(picture), END - FILM
    carried = bytearray(head[:END])
    if order != _order(head):
        for place in (place for places in NUMBERS for place in places):
            carried[place : place + 4] = carried[place : place + 4][::-1]
    made = bytearray(picture[:FILM] + bytes(carried[FILM:END]) + picture[FILM:])
    struct.pack_into(order + "I", made, 4, END)
    # The only image element says once more where it begins.
    struct.pack_into(order + "I", made, 808, END)
    # Length of the file, "a new picture", lengths of the generic and of the industry header.
    struct.pack_into(order + "IIII", made, 16, len(made), 1, FILM, added)
    return bytes(made)


def _exact(rate: float) -> Fraction:
    """A rate that is kept in single precision: 23.976 is 24000/1001."""
    for exact in (Fraction(round(rate)), Fraction(round(rate) * 1000, 1001)):
        if abs(rate - exact) < 2e-3:
            return exact
    return Fraction(rate).limit_denominator(1000)


def _order(head: bytes) -> str:
    return ">" if head[:4] == b"SDPX" else "<"


def _number(head: bytes, place: int) -> int:
    (number,) = struct.unpack_from(_order(head) + "I", head, place)
    return int(number)
