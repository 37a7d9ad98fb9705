"""JPEG XL (ISO/IEC 18181), encoded without loss at 8 or 16 bits; Exif and XMP boxes are kept.

imagecodecs turns pixels upright when it decodes, and neither reads nor writes color profiles: what a file
has of them is found in its header, and named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import (
    ALPHA,
    DEPTH,
    EXIF,
    XMP,
    Metadata,
    OutputPage,
    Page,
    SinglePageCodec,
    Size,
    read_header,
)
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.jpeg2000 import Box, read_boxes
from colorcli.images.metadata import exif
from colorcli.images.raster import Raster

BARE = b"\xff\x0a"
"""Start of a codestream without boxes."""
CODESTREAM = (b"jxlc", b"jxlp")
BROTLI = b"brob"
"""A box that holds another one, compressed."""
NO_PROFILE = "its color profile is left out"
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by number from 1 (18181-1, table of SizeHeader)."""
SIDE_BITS = (9, 13, 18, 30)


@dataclass(frozen=True)
class Header:
    """Of a codestream (18181-1, annex D)."""

    size: Size
    """As displayed."""
    animated: bool
    has_profile: bool


class JpegXlCodec(SinglePageCodec):
    name = "JPEG XL"
    holds = frozenset((ALPHA, DEPTH, EXIF, XMP))

    def probe(self, source: Path) -> Size:
        return _header(_codestream(read_header(source))).size

    def decode(self, source: Path, data: bytes) -> Page:
        header = _header(_codestream(data))
        if header.animated:
            raise InputError(source, "an animated JPEG XL", "convert it to a video or to single images first")
        pixels = imagecodecs.jpegxl_decode(data)
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim > 3:
            raise InputError(source, f"JPEG XL with samples of type {pixels.dtype}", "save it as 16 bit TIFF")
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        blocks = dict(_metadata(data))
        block = blocks.get(b"Exif", b"")
        # An Exif block follows the position of its header; the codestream alone says how pixels are turned.
        tiff = exif.upright(block[4 + int.from_bytes(block[:4], "big") :]) if len(block) > 4 else None
        notes = (NO_PROFILE,) if header.has_profile else ()
        return Page(Raster.of(pixels), Metadata(tiff, blocks.get(b"xml ")), notes=notes)

    def encode(self, page: OutputPage) -> bytes:
        encoded = bytes(imagecodecs.jpegxl_encode(page.raster.array(), lossless=True, usecontainer=True))
        boxes = list(read_boxes(encoded))
        if page.metadata.exif:
            boxes.append(Box(b"Exif", bytes(4) + page.metadata.exif))
        if page.metadata.xmp:
            boxes.append(Box(b"xml ", page.metadata.xmp))
        return b"".join(box.to_bytes() for box in boxes)


JPEGXL = JpegXlCodec()


def _codestream(data: bytes) -> bytes:
    """The start of the codestream, without the boxes around it."""
    if data.startswith(BARE):
        return data
    for box in read_boxes(data, truncated=True):
        if box.kind in CODESTREAM:
            return box.body[4 * (box.kind == b"jxlp") :]
    raise DamagedError("no image inside")


def _metadata(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Boxes other than the image, decompressed, by kind."""
    if data.startswith(BARE):
        return
    for box in read_boxes(data):
        if box.kind == BROTLI:
            yield box.body[:4], bytes(imagecodecs.brotli_decode(box.body[4:]))
        else:
            yield box.kind, box.body


class _Bits:
    """Reads numbers bit by bit, the lowest bit of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data[:256], "little")
        self._left = 8 * len(data[:256])

    def __call__(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise DamagedError("truncated")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value

    def choice(self, *ways: tuple[int, int]) -> int:
        """U32: two bits choose how many bits follow, and what is added to them."""
        bits, offset = ways[self(2)]
        return offset + self(bits)


def _header(data: bytes) -> Header:
    if data[:2] != BARE:
        raise DamagedError("broken header")
    read = _Bits(data[2:])
    width, height = _size(read)
    turned = animated = profile = False
    if not read(1):  # everything else has its default
        if read(1):
            turned = read(3) >= 4
            if read(1):
                _size(read)
            preview, animated = bool(read(1)), bool(read(1))
            if preview or animated:  # what follows is of no interest then
                return Header(Size(height, width), animated, has_profile=False)
        profile = _has_profile(read)
    return Header(Size(width, height) if turned else Size(height, width), animated, profile)


def _size(read: _Bits) -> tuple[int, int]:
    """Width and height."""
    small = read(1)

    def side() -> int:
        return 8 * (1 + read(5)) if small else 1 + read(SIDE_BITS[read(2)])

    height = side()
    ratio = read(3)
    if not ratio:
        return side(), height
    across, down = RATIOS[ratio - 1]
    return height * across // down, height


def _has_profile(read: _Bits) -> bool:
    """Whether a color profile follows; skips what comes before in the image's metadata."""
    is_float = read(1)
    read.choice((0, 32), (0, 16), (0, 24), (6, 1)) if is_float else read.choice(
        (0, 8), (0, 10), (0, 12), (6, 1)
    )
    if is_float:
        read(4)
    read(1)  # 16 bits suffice for its buffers
    if read.choice((0, 0), (0, 1), (4, 2), (12, 1)) and not read(1):
        return False  # an extra channel that is not simply alpha: not looked behind
    read(1)  # XYB
    return not read(1) and bool(read(1))
