"""Maker notes: what cameras write as they like, with offsets that nobody else can move along.

A note is kept where it was in its file, with the values outside of it that it points at (previews, mostly).
Its directory is read only to find those (exiftool.org/makernote_types.html).
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from colorcli.images.codecs.tiff.directories import MOST_TAGS, SIZES

LARGEST = 1 << 26
"""Bytes of all values outside of a note that are kept."""
DEEPEST = 3
PAIRS = ((0x201, 0x202), (0x88, 0x89))
"""Tags of offset and length of a preview."""
NIKON_PREVIEW, IFD = 0x11, 13


class Start(NamedTuple):
    """Where the directory of a note is, and what its offsets count from."""

    base: int
    directory: int
    order: str


def anchored_blocks(file: BinaryIO, place: int, note: bytes, order: str) -> list[tuple[int, bytes]]:
    """A note at `place`, and the values it points at outside of itself, each with its place."""
    start = _start(place, note, order)
    end = place + len(note)
    blocks = {place: note}
    size = file.seek(0, 2)
    for at, length in _values(file, start, start.directory, 0) if start else ():
        inside = place <= at and at + length <= end
        total = sum(map(len, blocks.values())) + length
        if not inside and at >= 16 and at + length <= size and total <= LARGEST:
            file.seek(at)
            block = file.read(length)
            if len(block) > len(blocks.get(at, b"")):
                blocks[at] = block
    return sorted(blocks.items())


def _start(place: int, note: bytes, order: str) -> Start | None:
    nested = {b"II": "<", b"MM": ">"}
    try:
        if note.startswith(b"Nikon\0\2"):
            own = nested[note[10:12]]
            return Start(place + 10, place + 10 + struct.unpack_from(own + "I", note, 14)[0], own)
        if note.startswith(b"FUJIFILM"):
            return Start(place, place + struct.unpack_from("<I", note, 8)[0], "<")
        if note.startswith((b"OLYMPUS\0", b"PENTAX \0")):
            return Start(place, place + (12 if note[0] == ord("O") else 10), nested[note[8:10]])
        if note.startswith(b"OM SYSTEM\0"):
            return Start(place, place + 16, nested[note[12:14]])
    except (struct.error, KeyError):
        return None
    heads = ((b"OLYMP\0", 8), (b"Panasonic\0\0\0", 12), (b"SONY ", 12), (b"AOC\0", 6), (b"Nikon\0\1\0", 8))
    return Start(0, place + next((skip for head, skip in heads if note.startswith(head)), 0), order)


def _values(file: BinaryIO, start: Start, directory: int, depth: int) -> Iterator[tuple[int, int]]:
    """Offset and length of every value that is not in its entry, and of the previews."""
    numbers: dict[int, int] = {}
    for tag, kind, length, number in _entries(file, start, directory):
        if length > 4:
            yield start.base + number, length
        elif kind in (4, IFD):
            numbers[tag] = number
            if depth < DEEPEST and (kind == IFD or tag == NIKON_PREVIEW) and number:
                yield from _values(file, start, start.base + number, depth + 1)
                yield start.base + number, _length(file, start, start.base + number)
    for first, second in PAIRS:
        if first in numbers and second in numbers:
            yield start.base + numbers[first], numbers[second]


def _length(file: BinaryIO, start: Start, directory: int) -> int:
    return 6 + 12 * sum(1 for _ in _entries(file, start, directory))


def _entries(file: BinaryIO, start: Start, directory: int) -> list[tuple[int, int, int, int]]:
    """Tag, type, bytes of the value, and the value or its offset; nothing if this is not a directory."""
    file.seek(directory)
    head = file.read(2)
    if len(head) < 2:
        return []
    (count,) = struct.unpack(start.order + "H", head)
    rows = file.read(12 * count) if count <= MOST_TAGS else b""
    if len(rows) < 12 * count or not count:
        return []
    found = [struct.unpack_from(start.order + "HHII", rows, at) for at in range(0, len(rows), 12)]
    return [(tag, kind, SIZES[kind] * number, value) for tag, kind, number, value in found if kind in SIZES]
