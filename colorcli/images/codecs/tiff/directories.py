"""TIFF directories as bytes (TIFF 6.0; BigTIFF): tags are copied as they are, in the file's own byte order.

A tag is its type and its bytes; what the value means does not matter here. Only directories inside
directories (Exif, GPS, interoperability) are followed, because their offsets change.
"""

import struct
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
DEEPEST = 3
MOST_TAGS = 4096


@dataclass(frozen=True)
class Tag:
    kind: int
    value: bytes = b""
    nested: "dict[int, Tag] | None" = None
    """The directory this tag points at, if it is one of `NESTED`."""

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
        if length > size:
            continue
        value = field[:length]
        if length > layout.inline:
            file.seek(struct.unpack(layout.pointer, field)[0])
            value = file.read(length)
        if len(value) == length:
            tags[code] = _with_nested(file, code, Tag(kind, value), layout, depth)
    return tags


def check_chain(source: Path) -> None:
    """Follow a file's directories from link to link.

    Raises:
        DamagedError: it has no directory, or its directories form a circle.
        struct.error: it is truncated.
    """
    with source.open("rb") as file:
        head = file.read(16)
        order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        layout = Layout(order, head[2:4] in (b"+\0", b"\0+"))
        (offset,) = struct.unpack_from(layout.pointer, head, 8 if layout.big else 4)
        visited: set[int] = set()
        while offset:
            if offset in visited:
                raise DamagedError("its pages form a circle")
            visited.add(offset)
            file.seek(offset)
            number = file.read(8 if layout.big else 2)
            (count,) = struct.unpack(layout.order + ("Q" if layout.big else "H"), number)
            file.seek(count * (struct.calcsize(layout.entry) + layout.inline), 1)
            (offset,) = struct.unpack(layout.pointer, file.read(layout.inline))
    if not visited:
        raise DamagedError("it has no pages")


def _with_nested(file: BinaryIO, code: int, tag: Tag, layout: Layout, depth: int) -> Tag:
    if code not in NESTED or depth >= DEEPEST or tag.count != 1 or tag.kind not in (LONG, IFD, LONG8, IFD8):
        return tag
    letter = "Q" if tag.kind in (LONG8, IFD8) else "I"
    try:
        (offset,) = struct.unpack(layout.order + letter, tag.value)
        return Tag(tag.kind, tag.value, read_directory(file, offset, layout, depth + 1))
    except struct.error:
        return tag


def write_directory(file: BinaryIO, tags: Directory, layout: Layout) -> int:
    """Write values and then the directory at the end of the file; returns the offset of the directory.

    Its link to the next directory is 0; `link_offset` gives the position of that link.
    """
    entries = []
    for code in sorted(tags):
        tag = tags[code]
        value = tag.value
        if tag.nested is not None:
            where = write_directory(file, tag.nested, layout)
            tag = Tag(LONG8 if layout.big else LONG, layout.pack(LONG8 if layout.big else LONG, where))
            value = tag.value
        if len(value) > layout.inline:
            value = struct.pack(layout.pointer, append(file, value))
        head = struct.pack(layout.entry, code, tag.kind, tag.count)
        entries.append(head + value.ljust(layout.inline, b"\0"))
    number = struct.pack(layout.order + ("Q" if layout.big else "H"), len(entries))
    return append(file, number + b"".join(entries) + bytes(layout.inline))


def link_offset(directory: int, tags: Directory, layout: Layout) -> int:
    """The position at which a directory written at `directory` has the offset of the next one."""
    head = 8 if layout.big else 2
    return directory + head + len(tags) * (struct.calcsize(layout.entry) + layout.inline)


def append(file: BinaryIO, content: bytes) -> int:
    """Write at the end of the file, on an even offset, as TIFF requires; returns the offset."""
    at = file.seek(0, 2)
    if at % 2:
        file.write(b"\0")
        at += 1
    file.write(content)
    return at
