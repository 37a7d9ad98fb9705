"""Exif blocks and the tags of a TIFF page are the same thing in two places: each made of the other."""

import io
import struct

from colorcli.images.codecs.tiff.directories import (
    ANCHORED,
    LONG,
    MAKER_NOTE,
    Directory,
    Layout,
    Tag,
    Target,
    read_directory,
    write_directory,
)

EXIF_DIRECTORY = 34665
DESCRIPTION = 270
NOT_EXIF = frozenset((254, 255, 269, 297, 700, 33723, 34377, 34675, 37724))
"""Tags about a page of a TIFF, and what other formats keep elsewhere: XMP, IPTC, Photoshop, ICC."""
NO_REASON = frozenset((282, 283, 296, 305))
"""Resolution and software: alone they are not worth a block, which some formats cannot hold."""


def tags_of(block: bytes) -> tuple[Layout, Directory]:
    """The tags of an Exif block; none if it is broken."""
    layout = Layout(">" if block[:2] == b"MM" else "<", False)
    file = io.BytesIO(block)
    try:
        (start,) = struct.unpack_from(layout.pointer, block, 4)
        return layout, read_directory(file, start, layout)
    except struct.error:
        return layout, {}


def block_of(tags: Directory, layout: Layout) -> bytes | None:
    """An Exif block of these tags; None if there is nothing to be said.

    A maker note whose offsets would no longer be right is left out.
    """
    kept = {code: _classic(tag, layout) for code, tag in tags.items() if code not in NOT_EXIF | ANCHORED}
    description = kept.get(DESCRIPTION)
    if description is not None and description.value.startswith((b'{"shape"', b"ImageJ=", b"<?xml")):
        del kept[DESCRIPTION]  # of the file's structure, written by scientific software
    if not kept.keys() - NO_REASON:
        return None
    layout = Layout(layout.order, False)
    file = io.BytesIO()
    file.write((b"II" if layout.order == "<" else b"MM") + struct.pack(layout.order + "HI", 42, 0))
    start = write_directory(Target(file), kept, layout)
    file.seek(4)
    file.write(struct.pack(layout.pointer, start))
    return file.getvalue()


def maker_note(tags: Directory) -> Tag | None:
    """The maker note, if it is not one of a few bytes."""
    nested = tags[EXIF_DIRECTORY].nested if EXIF_DIRECTORY in tags else None
    note = (nested or {}).get(MAKER_NOTE)
    return note if note and note.place else None


def _classic(tag: Tag, layout: Layout) -> Tag:
    if tag.nested is None:
        return tag
    nested = {code: _classic(inner, layout) for code, inner in tag.nested.items() if code not in ANCHORED}
    return Tag(LONG, bytes(4), nested)
