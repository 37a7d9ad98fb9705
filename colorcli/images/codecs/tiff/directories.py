"""TIFF directories as bytes (TIFF 6.0; BigTIFF): tags are copied as they are, in the file's own byte order.

A tag is its type and its bytes; what the value means does not matter here. Only directories inside
directories (Exif, GPS, interoperability) are followed, because their offsets change.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from colorcli.images.codecs.damage import DamagedError

SHORT, LONG, IFD, LONG8, IFD8 = 3, 4, 13, 16, 18
ASCII, BYTE, RATIONAL, UNDEFINED = 2, 1, 5, 7
SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
"""Bytes of a value by type number."""
NESTED = frozenset((34665, 34853, 40965))
"""Exif, GPS and interoperability directories."""
MAKER_NOTE, PRIVATE_DATA = 37500, 50740
ANCHORED = frozenset((MAKER_NOTE, PRIVATE_DATA))
"""Tags of a structure unknown to us, with offsets from the start of the file: they have to stay in place."""
DEEPEST = 3
MOST_TAGS = 4096


@dataclass(frozen=True)
class Tag:
    kind: int
    value: bytes = b""
    nested: "dict[int, Tag] | None" = None
    """The directory this tag points at, if it is one of `NESTED`."""
    place: int = 0
    """Where the value of one of `ANCHORED` is in its file; 0 if it may be anywhere."""

    @property
    def count(self) -> int:
        return len(self.value) // SIZES[self.kind]


Directory = dict[int, Tag]


@dataclass(frozen=True)
class Layout:
    """Byte order and sizes of a file."""

    order: Literal["<", ">"]
    """`<` or `>`."""
    big: bool

    @property
    def pointer(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def entry(self) -> str:
        """Tag, type, number of values."""
        return self.order + ("HHQ" if self.big else "HHI")

    @property
    def inline(self) -> int:
        """Bytes of a value that fit into its entry."""
        return 8 if self.big else 4

    def pack(self, kind: int, *values: int) -> bytes:
        letter = {BYTE: "B", SHORT: "H", LONG: "I", LONG8: "Q", RATIONAL: "I", IFD: "I", IFD8: "Q"}[kind]
        return struct.pack(f"{self.order}{len(values)}{letter}", *values)


def read_directory(file: BinaryIO, offset: int, layout: Layout, depth: int = 0) -> Directory:
    """All tags at `offset`, except those of unknown type or with a value outside the file.

    Raises:
        struct.error: the directory itself is truncated.
    """
    file.seek(offset)
    head = layout.order + ("Q" if layout.big else "H")
    (count,) = struct.unpack(head, file.read(struct.calcsize(head)))
    width = struct.calcsize(layout.entry) + layout.inline
    rows = file.read(width * min(count, MOST_TAGS))
    size = file.seek(0, 2)
    tags: Directory = {}
    for at in range(0, len(rows) - width + 1, width):
        code, kind, number = struct.unpack_from(layout.entry, rows, at)
        field = rows[at + width - layout.inline : at + width]
        length = number * SIZES.get(kind, size)
        if kind not in SIZES or length > size:
            continue
        value, place = field[:length], 0
        if length > layout.inline:
            (place,) = struct.unpack(layout.pointer, field)
            if place >= size:
                continue
            file.seek(place)
            value = file.read(length)
        if len(value) == length:
            tag = Tag(kind, value, place=place if code in ANCHORED else 0)
            tags[code] = _with_nested(file, code, tag, layout, depth)
    return tags


@dataclass(frozen=True)
class Chain:
    """The pages of a file."""

    layout: Layout
    offsets: tuple[int, ...]
    """Of their directories."""
    broken: bool
    """Whether the last page links to something that is not a directory, or to a page before it."""


def read_chain(source: Path) -> Chain:
    """Follow a file's directories from link to link, up to one that is not there.

    Raises:
        DamagedError: it has no directory.
    """
    with source.open("rb") as file:
        head = file.read(16).ljust(16, b"\0")
        layout = Layout("<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+"))
        (offset,) = struct.unpack_from(layout.pointer, head, 8 if layout.big else 4)
        visited: dict[int, None] = {}
        broken = False
        while offset and not broken:
            following = None if offset in visited else _next_directory(file, offset, layout)
            broken = following is None
            if not broken or not visited:
                visited[offset] = None
            offset = following or 0
    if not visited:
        raise DamagedError("it has no pages")
    return Chain(layout, tuple(visited), broken)


def _next_directory(file: BinaryIO, offset: int, layout: Layout) -> int | None:
    """The link at the end of the directory at `offset`, 0 if it is cut off; None if there is no directory."""
    size = file.seek(0, 2)
    if offset >= size:
        return None
    file.seek(offset)
    head = 8 if layout.big else 2
    number = file.read(head)
    if len(number) < head:
        return None
    (count,) = struct.unpack(layout.order + ("Q" if layout.big else "H"), number)
    width = struct.calcsize(layout.entry) + layout.inline
    if not 0 < count <= MOST_TAGS or offset + head + count * width > size:
        return None
    kinds = file.read(count * width)
    if not any(struct.unpack_from(layout.entry, kinds, at)[1] in SIZES for at in range(0, len(kinds), width)):
        return None
    link = file.read(layout.inline)
    return int(struct.unpack(layout.pointer, link)[0]) if len(link) == layout.inline else 0


def _with_nested(file: BinaryIO, code: int, tag: Tag, layout: Layout, depth: int) -> Tag:
    if code not in NESTED or depth >= DEEPEST or tag.count != 1 or tag.kind not in (LONG, IFD, LONG8, IFD8):
        return tag
    letter = "Q" if tag.kind in (LONG8, IFD8) else "I"
    try:
        (offset,) = struct.unpack(layout.order + letter, tag.value)
        return Tag(tag.kind, tag.value, read_directory(file, offset, layout, depth + 1))
    except (struct.error, OSError, OverflowError):
        return tag


class Target:
    """A file that is written from start to end, around blocks that stay where they were in the source."""

    def __init__(self, file: BinaryIO, anchored: Iterable[tuple[int, bytes]] = ()) -> None:
        self.file = file
        self._anchored = sorted(anchored)

    def holds(self, place: int, block: bytes) -> bool:
        """Whether this block stays where it was."""
        return (place, block) in self._anchored

    def append(self, content: bytes) -> int:
        """Write at the end of the file, on an even offset, as TIFF requires; returns the offset."""
        end = self.file.seek(0, 2)
        at = end + end % 2
        for start, block in self._anchored:
            if at < start + len(block) and start < at + len(content):
                at = start + len(block)
                at += at % 2
        self.file.truncate(at)
        self.file.seek(at)
        self.file.write(content)
        return at

    def finish(self) -> None:
        """Write the blocks that stay where they were."""
        for start, block in self._anchored:
            self.file.seek(start)
            self.file.write(block)


def write_directory(target: Target, tags: Directory, layout: Layout) -> int:
    """Write values and then the directory at the end of the file; returns the offset of the directory.

    Its link to the next directory is 0; `link_offset` gives the position of that link.
    """
    entries = []
    for code in sorted(tags):
        tag = tags[code]
        value = tag.value
        if tag.nested is not None:
            where = write_directory(target, tag.nested, layout)
            tag = Tag(LONG8 if layout.big else LONG, layout.pack(LONG8 if layout.big else LONG, where))
            value = tag.value
        if len(value) > layout.inline:
            stays = tag.place and target.holds(tag.place, value)
            value = struct.pack(layout.pointer, tag.place if stays else target.append(value))
        head = struct.pack(layout.entry, code, tag.kind, tag.count)
        entries.append(head + value.ljust(layout.inline, b"\0"))
    number = struct.pack(layout.order + ("Q" if layout.big else "H"), len(entries))
    return target.append(number + b"".join(entries) + bytes(layout.inline))


def link_offset(directory: int, tags: Directory, layout: Layout) -> int:
    """The position at which a directory written at `directory` has the offset of the next one."""
    head = 8 if layout.big else 2
    return directory + head + len(tags) * (struct.calcsize(layout.entry) + layout.inline)
