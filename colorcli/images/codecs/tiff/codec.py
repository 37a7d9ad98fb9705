"""TIFF and BigTIFF: every page in its order, strip by strip, all tags that still hold kept.

tifffile decodes; the writing is our own, because tags and nested directories are then copied byte for byte.
"""

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import imagecodecs
import numpy as np
import tifffile

from colorcli.errors import ColorcliError, InputError, RefusedError
from colorcli.images.codecs.base import Metadata, Page
from colorcli.images.codecs.tiff.directories import (
    BYTE,
    LONG,
    LONG8,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Directory,
    Layout,
    Tag,
    append,
    link_offset,
    read_directory,
    write_directory,
)  # fmt: skip
from colorcli.images.codecs.tiff.pixels import RGB, raster_of
from colorcli.images.metadata import icc
from colorcli.images.metadata.exif import UPRIGHT
from colorcli.images.metadata.xmp import with_provenance
from colorcli.images.raster import Pixels, Raster, recut
from colorcli.models.card import ModelCard

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, BYTE_COUNTS = 273, 274, 277, 278, 279
SUB_DIRECTORIES, REDUCED = 330, 1
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR, EXTRA_SAMPLES = 282, 283, 284, 296, 317, 338
XMP, ICC, EXIF = 700, 34675, 34665
INCH, CENTIMETER = 2, 3
# Tags about samples, strips, tiles, inks and reduced copies: they describe pixels that are no longer there.
STALE = frozenset((
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 263, 264, 265, 266, OFFSETS, SAMPLES, ROWS_PER_STRIP,
    BYTE_COUNTS, 280, 281, PLANAR, 288, 289, 290, 291, 292, 293, PREDICTOR, 301, 318, 319, 320, 321, 322, 323,
    324, 325, 327, 328, 330, 332, 334, 336, EXTRA_SAMPLES, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517,
    518, 519, 520, 521, 529, 530, 531, 532, 559, 33421,
))  # fmt: skip
NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 5, 8, 32946, 32773, 50000
LOSSLESS = frozenset((NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD))
"""Codings that can hold color exactly; whatever else a source has (fax, JPEG) becomes deflate."""
HORIZONTAL = 2
STRIP_BYTES = 1 << 18
CLASSIC_LIMIT = 0xF000_0000
"""Bytes of pixels from which on offsets need 64 bits."""


@dataclass(frozen=True)
class TiffPage:
    page: Page
    tags: Directory
    compression: int
    predictor: int
    alpha_kind: int
    """1 where colors are multiplied by alpha, 2 where they are not; what tag 338 says."""
    levels: "tuple[TiffPage, ...]" = ()
    """Smaller copies of the page, as viewers of large pictures want them."""

    def held(self) -> "TiffPage":
        """The same with its pixels decoded once and for all."""
        return replace(self, page=replace(self.page, raster=self.page.raster.held()))


@contextlib.contextmanager
def opened(source: Path) -> Iterator[tuple[Layout, list[TiffPage]]]:
    """The pages of a file, their pixels still on disk.

    Raises:
        InputError: damaged, or of a kind that nobody here can read.
        RefusedError: a page holds pictures other than smaller copies of itself.
    """
    try:
        with tifffile.TiffFile(source) as file, source.open("rb") as raw:
            layout = Layout("<" if file.byteorder == "<" else ">", file.is_bigtiff)
            yield layout, [_page(source, page.aspage(), raw, layout) for page in file.pages]
    except ColorcliError:
        raise
    except (
        tifffile.TiffFileError,
        struct.error,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        OSError,
    ) as error:
        raise InputError(source, f"damaged TIFF ({error})", "scan or copy it again") from error


def write(
    target: BinaryIO,
    layout: Layout,
    pages: list[TiffPage],
    colors: list[list[Raster]],
    card: ModelCard | None,
) -> Iterator[int]:
    """Write all pages in their new `colors`, strip by strip, marked with the model of `card` unless None.

    `colors` are the page's own and those of its levels. Gives the number of pages done after each.
    """
    size = sum(raster.size for rasters in colors for raster in rasters)
    layout = Layout(layout.order, layout.big or size > CLASSIC_LIMIT)
    mark = b"II" if layout.order == "<" else b"MM"
    number = layout.pack(SHORT, 43, 8, 0) if layout.big else layout.pack(SHORT, 42)
    target.write(mark + number + bytes(layout.inline))
    link = target.tell() - layout.inline
    for done, (page, rasters) in enumerate(zip(pages, colors, strict=True), start=1):
        directory, tags = _written_page(target, page, rasters, card, layout)
        target.seek(link)
        target.write(struct.pack(layout.pointer, directory))
        link = link_offset(directory, tags, layout)
        yield done


def _written_page(
    target: BinaryIO, page: TiffPage, rasters: list[Raster], card: ModelCard | None, layout: Layout
) -> tuple[int, Directory]:
    """Write a page and its levels; gives the offset of its directory, and that."""
    own, *levels = rasters
    tags = _colored_tags(page, own, card, layout)
    tags |= _written_strips(target, own, page, layout)
    if levels:
        places = [
            _written_page(target, level, [raster], None, layout)[0]
            for level, raster in zip(page.levels, levels, strict=True)
        ]
        kind = LONG8 if layout.big else LONG
        tags[SUB_DIRECTORIES] = Tag(kind, layout.pack(kind, *places))
    return write_directory(target, tags, layout), tags


def encode(page: Page, card: ModelCard | None) -> bytes:
    """A TIFF of one page that comes from another format, deflated."""
    target = io.BytesIO()
    for _ in write(target, Layout("<", False), [_from_page(page)], [[page.raster]], card):
        pass
    return target.getvalue()


def _from_page(page: Page) -> TiffPage:
    layout, metadata = Layout("<", False), page.metadata
    tags: Directory = {}
    if metadata.dpi:
        for code, dpi in zip((X_RESOLUTION, Y_RESOLUTION), metadata.dpi, strict=True):
            tags[code] = Tag(RATIONAL, layout.pack(RATIONAL, round(dpi * 1000), 1000))
        tags[RESOLUTION_UNIT] = Tag(SHORT, layout.pack(SHORT, INCH))
    if metadata.xmp:
        tags[XMP] = Tag(BYTE, metadata.xmp)
    if metadata.icc:
        tags[ICC] = Tag(UNDEFINED, metadata.icc)
    if page.orientation != UPRIGHT:
        tags[ORIENTATION] = Tag(SHORT, layout.pack(SHORT, page.orientation))
    return TiffPage(page, tags, DEFLATE, HORIZONTAL, 2)


def _page(source: Path, page: tifffile.TiffPage, raw: BinaryIO, layout: Layout) -> TiffPage:
    tags = read_directory(raw, page.offset, layout)
    profile = tags[ICC].value if ICC in tags else None
    xmp = tags[XMP].value if XMP in tags else None
    orientation = (
        int.from_bytes(tags[ORIENTATION].value[:2], _ORDERS[layout.order]) if ORIENTATION in tags else 1
    )
    if not 1 <= orientation <= 8:
        orientation = UPRIGHT
    metadata = Metadata(None, xmp, profile, _dpi(tags, layout))
    kept = page.compression in LOSSLESS
    return TiffPage(
        Page(raster_of(source, page, profile), metadata, orientation),
        {code: tag for code, tag in tags.items() if code not in STALE},
        int(page.compression) if kept else DEFLATE,
        int(page.predictor) if kept else HORIZONTAL,
        int(page.extrasamples[0]) if page.extrasamples else 2,
        tuple(_level(source, page, level.aspage(), raw, layout) for level in page.pages or ()),
    )


def _level(
    source: Path, page: tifffile.TiffPage, level: tifffile.TiffPage, raw: BinaryIO, layout: Layout
) -> TiffPage:
    smaller = level.imagelength < page.imagelength and level.imagewidth < page.imagewidth
    if not (smaller and int(level.subfiletype) & REDUCED) or level.subifds:
        cause = "a page holds pictures that are no smaller copies of it (SubIFDs)"
        raise RefusedError(source, cause, "save them as pages of their own")
    return _page(source, level, raw, layout)


_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}


def _dpi(tags: Directory, layout: Layout) -> tuple[float, float] | None:
    try:
        (across, a), (down, b) = (
            struct.unpack(layout.order + "II", tags[code].value) for code in (X_RESOLUTION, Y_RESOLUTION)
        )
        unit = struct.unpack(layout.order + "H", tags[RESOLUTION_UNIT].value)[0]
        scale = {INCH: 1.0, CENTIMETER: 2.54}[unit]
        return across / a * scale, down / b * scale
    except (KeyError, struct.error, ZeroDivisionError):
        return None


def _colored_tags(page: TiffPage, raster: Raster, card: ModelCard | None, layout: Layout) -> Directory:
    """The tags that stay, and those that the page's new pixels bring."""
    metadata = page.page.metadata
    tags = dict(page.tags)
    profile = icc.for_rgb(metadata.icc)
    if profile:
        tags[ICC] = Tag(UNDEFINED, profile)
    else:
        tags.pop(ICC, None)
    if card is not None:
        tags[XMP] = Tag(BYTE, with_provenance(metadata.xmp, card))
    samples = raster.channels
    tags |= {
        WIDTH: Tag(LONG, layout.pack(LONG, raster.width)),
        HEIGHT: Tag(LONG, layout.pack(LONG, raster.height)),
        BITS: Tag(SHORT, layout.pack(SHORT, *[raster.depth] * samples)),
        COMPRESSION: Tag(SHORT, layout.pack(SHORT, page.compression)),
        PHOTOMETRIC: Tag(SHORT, layout.pack(SHORT, RGB)),
        SAMPLES: Tag(SHORT, layout.pack(SHORT, samples)),
        PLANAR: Tag(SHORT, layout.pack(SHORT, 1)),
    }
    if page.predictor == HORIZONTAL:
        tags[PREDICTOR] = Tag(SHORT, layout.pack(SHORT, HORIZONTAL))
    if raster.has_alpha:
        tags[EXTRA_SAMPLES] = Tag(SHORT, layout.pack(SHORT, page.alpha_kind))
    return tags


def _written_strips(target: BinaryIO, color: Raster, page: TiffPage, layout: Layout) -> Directory:
    """Write the pixels; gives the tags that say where they are."""
    row_bytes = color.width * color.channels * color.depth // 8
    rows = max(1, min(color.height, STRIP_BYTES // row_bytes))
    offsets, sizes = [], []
    for strip in recut(color.bands(), rows):
        coded = _coded(strip, page, layout)
        offsets.append(append(target, coded))
        sizes.append(len(coded))
    kind = LONG8 if layout.big else LONG
    return {
        OFFSETS: Tag(kind, layout.pack(kind, *offsets)),
        BYTE_COUNTS: Tag(kind, layout.pack(kind, *sizes)),
        ROWS_PER_STRIP: Tag(LONG, layout.pack(LONG, rows)),
    }


def _coded(strip: Pixels, page: TiffPage, layout: Layout) -> bytes:
    if page.predictor == HORIZONTAL:
        first, rest = strip[:, :1], strip[:, 1:] - strip[:, :-1]  # unsigned, wraps as TIFF wants it
        strip = np.concatenate([first, rest], axis=1)
    data = strip.astype(strip.dtype.newbyteorder(layout.order), copy=False).tobytes()
    encode = {
        LZW: imagecodecs.lzw_encode,
        DEFLATE: imagecodecs.deflate_encode,
        OLD_DEFLATE: imagecodecs.deflate_encode,
        ZSTD: imagecodecs.zstd_encode,
    }.get(page.compression)
    if page.compression == PACKBITS:
        rows = strip.astype(strip.dtype.newbyteorder(layout.order), copy=False)
        return b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in rows)
    return bytes(encode(data)) if encode else data
