"""Content of a Matroska file that FFmpeg does not read, found by its bytes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# IDs of Matroska elements (RFC 9559, section 27.1).
_SEGMENT, _TRACKS, _CHAPTERS = 0x18538067, 0x1654AE6B, 0x1043A770
_TRACK, _VIDEO, _EDITION, _CHAPTER, _CHAPTER_NAME = 0xAE, 0xE0, 0x45B9, 0xB6, 0x80
_CROPS = {0x54AA, 0x54BB, 0x54CC, 0x54DD}
_LANGUAGE_BCP47, _CHAPTER_LANGUAGE = 0x22B59D, 0x437C
_PARENTS = {_TRACK, _VIDEO, _EDITION, _CHAPTER, _CHAPTER_NAME}
_LARGEST = 16 << 20
"""Bytes of the largest header that is read."""


def lost_matroska_elements(path: Path) -> Iterator[str]:
    """What FFmpeg does not read from a Matroska file's header, in words."""
    with path.open("rb") as file:
        elements = list(_header_elements(file))
    if any(each == _LANGUAGE_BCP47 and b"-" in value for each, value, _ in elements):
        yield "the regional language (BCP 47) of a stream"
    if any(each in _CROPS and any(value) for each, value, _ in elements):
        yield "the crop (PixelCrop) of Matroska"
    chapters = [value for each, value, _ in elements if each == _CHAPTER]
    if any(each == parent == _CHAPTER for each, _, parent in elements):
        yield "nested chapters"
    languages = {value.rstrip(b"\0") for each, value, _ in elements if each == _CHAPTER_LANGUAGE}
    names = ([each for each, _ in _children(value)].count(_CHAPTER_NAME) for value in chapters)
    if languages - {b"eng", b"und"} or any(count > 1 for count in names):
        yield "the languages of chapter names and all but the first name of each"


def _header_elements(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """ID, payload and parent's ID of every element in the tracks and chapters."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while head := file.read(12):
        found = _element(head, 0)
        if found is None:
            return
        kind, start, size = found
        file.seek(start - len(head), os.SEEK_CUR)
        if kind in (_TRACKS, _CHAPTERS) and size < _LARGEST:
            yield from _descendants(file.read(size), kind)
        elif kind != _SEGMENT:
            if size > end - file.tell():  # a live stream's clusters have no known size
                return
            file.seek(size, os.SEEK_CUR)


def _descendants(data: bytes, parent: int) -> Iterator[tuple[int, bytes, int]]:
    for kind, payload in _children(data):
        yield kind, payload, parent
        if kind in _PARENTS:
            yield from _descendants(payload, kind)


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data) and (found := _element(data, position)):
        kind, start, size = found
        yield kind, data[start : start + size]
        position = start + size


def _element(data: bytes, position: int) -> tuple[int, int, int] | None:
    """ID, start of the payload and its size of the element at a position; None where there is none."""
    length = 9 - data[position].bit_length()
    start = position + length
    if length > 4 or start >= len(data):
        return None
    bytes_of_size = 9 - data[start].bit_length()
    payload = start + bytes_of_size
    if bytes_of_size > 8 or payload > len(data):
        return None
    size = int.from_bytes(data[start:payload], "big") & ((1 << 7 * bytes_of_size) - 1)
    return int.from_bytes(data[position:start], "big"), payload, size
