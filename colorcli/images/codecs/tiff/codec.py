"""TIFF and BigTIFF: every page in its order, strip by strip, all tags that are still valid kept.

tifffile decodes; tags and nested directories are written here, so that they are copied byte for byte.
"""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

import imagecodecs
import numpy as np
import tifffile

from colorcli.errors import RefusedError
from colorcli.images.codecs.base import MAKER_NOTE, Codec, Metadata, OutputPage, Page, Size
from colorcli.images.codecs.damage import DamagedError
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
    Target,
    link_offset,
    read_chain,
    read_directory,
    write_directory,
)  # fmt: skip
from colorcli.images.codecs.tiff.exif import block_of, maker_note, tags_of
from colorcli.images.codecs.tiff.maker_note import anchored_blocks
from colorcli.images.codecs.tiff.pixels import RGB, raster_of
from colorcli.images.metadata.exif import UPRIGHT
from colorcli.images.metadata.resources import iptc_in
from colorcli.images.raster import Pixels, Raster, regrouped

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, BYTE_COUNTS = 273, 274, 277, 278, 279
SUB_DIRECTORIES, REDUCED = 330, 1
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR, EXTRA_SAMPLES = 282, 283, 284, 296, 317, 338
XMP, IPTC, RESOURCES, ICC, LAYERS = 700, 33723, 34377, 34675, 37724
INCH, CENTIMETER = 2, 3
# Tags about samples, strips, tiles, inks and reduced copies: they describe pixels that are replaced.
ABOUT_PIXELS = frozenset((
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 263, 264, 265, 266, OFFSETS, SAMPLES, ROWS_PER_STRIP,
    BYTE_COUNTS, 280, 281, PLANAR, 288, 289, 290, 291, 292, 293, PREDICTOR, 301, 318, 319, 320, 321, 322, 323,
    324, 325, 327, 328, 330, 332, 334, 336, EXTRA_SAMPLES, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517,
    518, 519, 520, 521, 529, 530, 531, 532, 559, 33421,
))  # fmt: skip
NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 5, 8, 32946, 32773, 50000
LOSSLESS = frozenset((NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD))
"""Compressions that can hold color exactly; a source with any other (fax, JPEG) becomes deflate."""
ENCODERS = {
    LZW: imagecodecs.lzw_encode,
    DEFLATE: imagecodecs.deflate_encode,
    OLD_DEFLATE: imagecodecs.deflate_encode,
    ZSTD: imagecodecs.zstd_encode,
}
HORIZONTAL = 2
UNASSOCIATED_ALPHA = 2
STRIP_BYTES = 1 << 18
CLASSIC_LIMIT = 0xF000_0000
"""Bytes of pixels from which on offsets need 64 bits."""
MEMORY_BYTES = 1 << 27
"""A file of up to so many bytes of pixels is decoded once and kept in memory; a larger one is read twice."""
NUMBERS = (
    "imagelength", "imagewidth", "imagedepth", "samplesperpixel", "bitspersample", "photometric",
    "compression", "planarconfig", "predictor", "rowsperstrip", "tilelength", "tilewidth",
)  # fmt: skip
"""What tifffile gives as it is in the file: it may be of any type."""
LITTLE_ENDIAN = Layout("<", False)
_BYTE_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}


@dataclass(frozen=True, kw_only=True)
class TiffPage(Page):
    """A page and what its file has beside the pixels; the defaults are for pages of other formats."""

    layout: Layout = LITTLE_ENDIAN
    tags: Directory = field(default_factory=dict)
    """All tags but those about pixels."""
    compression: int = DEFLATE
    predictor: int = HORIZONTAL
    alpha: int = UNASSOCIATED_ALPHA
    """Value of tag 338: 1 if colors are multiplied by alpha, 2 if not."""
    levels: "tuple[TiffPage, ...]" = ()
    """Reduced copies of the page, which viewers of large images use."""
    anchored: tuple[tuple[int, bytes], ...] = ()
    """Blocks of the file that have to stay at their offsets: maker notes, and what they point at."""

    @property
    def features(self) -> frozenset[str]:
        return super().features | ({MAKER_NOTE} if maker_note(self.tags) else set())


class TiffCodec(Codec):
    name = "TIFF"
    multipage = True

    def probe(self, source: Path) -> Size:
        chain = read_chain(source)
        with tifffile.TiffFile(source) as file:
            pages = _pages(file, chain.offsets)
            return max(
                (Size(page.imagelength, page.imagewidth) for page in pages), key=lambda size: size.pixels
            )

    @contextmanager
    def open(self, source: Path) -> Iterator[Sequence[Page]]:
        chain = read_chain(source)
        with tifffile.TiffFile(source) as file, source.open("rb") as raw:
            pages = [_page(source, page, raw, chain.layout) for page in _pages(file, chain.offsets)]
            if chain.broken:
                cause = f"the link after page {len(pages)} is broken: what may follow is left out"
                pages[-1] = replace(pages[-1], notes=(*pages[-1].notes, cause))
            if sum(page.raster.nbytes for page in pages) <= MEMORY_BYTES:
                pages = [replace(page, raster=page.raster.in_memory()) for page in pages]
            yield pages

    def write(
        self,
        target: BinaryIO,
        pages: Sequence[OutputPage],
        on_page: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Strip by strip, in the byte order of the source."""
        first = _as_tiff(pages[0].page)
        size = sum(image.raster.nbytes for page in pages for image in (page, *_levels(page)))
        layout = Layout(first.layout.order, first.layout.big or size > CLASSIC_LIMIT)
        mark = b"II" if layout.order == "<" else b"MM"
        number = layout.pack(SHORT, 43, 8, 0) if layout.big else layout.pack(SHORT, 42)
        target.write(mark + number + bytes(layout.inline))
        link = target.tell() - layout.inline
        blocks = {block for page in pages for block in _as_tiff(page.page).anchored if block[0] > link}
        place = Target(target, blocks)
        for done, page in enumerate(pages, start=1):
            directory, tags = _write_page(place, page, layout)
            target.seek(link)
            target.write(struct.pack(layout.pointer, directory))
            link = link_offset(directory, tags, layout)
            on_page(done)
        place.finish()


TIFF = TiffCodec()


def _pages(file: tifffile.TiffFile, offsets: Sequence[int]) -> Iterator[tifffile.TiffPage]:
    """The pages at these offsets, read on their own: the chain that links them may be broken."""
    for index, offset in enumerate(offsets):
        file.filehandle.seek(offset)
        page = tifffile.TiffPage(file, index)
        _check_numbers(page)
        yield page


def _check_numbers(page: tifffile.TiffPage) -> None:
    if not all(isinstance(getattr(page, name, 0), int) for name in NUMBERS):
        raise DamagedError("a tag that is not the number it has to be")


def _page(source: Path, page: tifffile.TiffPage, raw: BinaryIO, layout: Layout) -> TiffPage:
    tags = read_directory(raw, page.offset, layout)
    layers = tags.pop(LAYERS, None)
    xmp, profile, iptc, resources = (
        tags[code].value if code in tags else None for code in (XMP, ICC, IPTC, RESOURCES)
    )
    lossless = page.compression in LOSSLESS
    note = maker_note(tags)
    kept = {code: tag for code, tag in tags.items() if code not in ABOUT_PIXELS}
    return TiffPage(
        raster=raster_of(source, page, profile),
        metadata=Metadata(
            block_of(kept, layout), xmp, profile, _dpi(tags, layout), iptc or iptc_in(resources or b"")
        ),
        orientation=_orientation(tags, layout),
        notes=("its Photoshop layers, which show the picture as it was, are left out",) if layers else (),
        anchored=tuple(anchored_blocks(raw, note.place, note.value, layout.order)) if note else (),
        layout=layout,
        tags=kept,
        compression=int(page.compression) if lossless else DEFLATE,
        predictor=int(page.predictor) if lossless else HORIZONTAL,
        alpha=int(page.extrasamples[0]) if page.extrasamples else UNASSOCIATED_ALPHA,
        levels=tuple(_level(source, page, level.aspage(), raw, layout) for level in page.pages or ()),
    )


def _level(
    source: Path, page: tifffile.TiffPage, level: tifffile.TiffPage, raw: BinaryIO, layout: Layout
) -> TiffPage:
    _check_numbers(level)
    smaller = level.imagelength < page.imagelength and level.imagewidth < page.imagewidth
    if not (smaller and int(level.subfiletype) & REDUCED) or level.subifds:
        cause = "a page contains images that are not reduced copies of it (SubIFDs)"
        raise RefusedError(source, cause, "save them as separate pages")
    return _page(source, level, raw, layout)


def _orientation(tags: Directory, layout: Layout) -> int:
    if ORIENTATION not in tags:
        return UPRIGHT
    value = int.from_bytes(tags[ORIENTATION].value[:2], _BYTE_ORDERS[layout.order])
    return value if 1 <= value <= 8 else UPRIGHT


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


def _as_tiff(page: Page) -> TiffPage:
    """A page of any format as one of this."""
    if isinstance(page, TiffPage):
        return page
    layout, tags = tags_of(page.metadata.exif) if page.metadata.exif else (LITTLE_ENDIAN, Directory())
    tags = {code: tag for code, tag in tags.items() if code not in ABOUT_PIXELS}
    note = maker_note(tags)
    if page.metadata.iptc:
        tags[IPTC] = Tag(UNDEFINED, page.metadata.iptc)
    if page.metadata.dpi and X_RESOLUTION not in tags:
        for code, dpi in zip((X_RESOLUTION, Y_RESOLUTION), page.metadata.dpi, strict=True):
            tags[code] = Tag(RATIONAL, layout.pack(RATIONAL, round(dpi * 1000), 1000))
        tags[RESOLUTION_UNIT] = Tag(SHORT, layout.pack(SHORT, INCH))
    if page.orientation != UPRIGHT:
        tags[ORIENTATION] = Tag(SHORT, layout.pack(SHORT, page.orientation))
    exif = io.BytesIO(page.metadata.exif or b"")
    return TiffPage(
        page.raster, page.metadata, page.orientation, page.notes, layout=layout, tags=tags,
        anchored=tuple(anchored_blocks(exif, note.place, note.value, layout.order)) if note else (),
    )  # fmt: skip


def _levels(page: OutputPage) -> list[OutputPage]:
    """The reduced copies of the page, in the same colors."""
    return [replace(page, page=level, card=None) for level in _as_tiff(page.page).levels]


def _write_page(target: Target, output: OutputPage, layout: Layout) -> tuple[int, Directory]:
    """Write a page and its levels; returns the offset of its directory, and the directory."""
    page = _as_tiff(output.page)
    tags = dict(page.tags)
    for code, kind, block in ((ICC, UNDEFINED, output.metadata.icc), (XMP, BYTE, output.metadata.xmp)):
        if block is None:
            tags.pop(code, None)
        elif code not in tags or tags[code].value != block:
            tags[code] = Tag(kind, block)
    tags |= _write_raster(target, output.raster, page, layout)
    if page.levels:
        offsets = [_write_page(target, level, layout)[0] for level in _levels(output)]
        kind = LONG8 if layout.big else LONG
        tags[SUB_DIRECTORIES] = Tag(kind, layout.pack(kind, *offsets))
    return write_directory(target, tags, layout), tags


def _write_raster(target: Target, raster: Raster, page: TiffPage, layout: Layout) -> Directory:
    """Write pixels in strips; returns the tags that describe them."""
    row_bytes = raster.width * raster.channels * raster.depth // 8
    rows = max(1, min(raster.height, STRIP_BYTES // row_bytes))
    offsets, sizes = [], []
    for strip in regrouped(raster.bands(), rows):
        encoded = _encoded(strip, page, layout)
        offsets.append(target.append(encoded))
        sizes.append(len(encoded))
    pointer = LONG8 if layout.big else LONG
    values = {
        WIDTH: (LONG, raster.width),
        HEIGHT: (LONG, raster.height),
        BITS: (SHORT, *[raster.depth] * raster.channels),
        COMPRESSION: (SHORT, page.compression),
        PHOTOMETRIC: (SHORT, RGB),
        SAMPLES: (SHORT, raster.channels),
        PLANAR: (SHORT, 1),
        ROWS_PER_STRIP: (LONG, rows),
        OFFSETS: (pointer, *offsets),
        BYTE_COUNTS: (pointer, *sizes),
    }
    if page.predictor == HORIZONTAL:
        values[PREDICTOR] = (SHORT, HORIZONTAL)
    if raster.has_alpha:
        values[EXTRA_SAMPLES] = (SHORT, page.alpha)
    return {code: Tag(kind, layout.pack(kind, *numbers)) for code, (kind, *numbers) in values.items()}


def _encoded(strip: Pixels, page: TiffPage, layout: Layout) -> bytes:
    if page.predictor == HORIZONTAL:
        first, rest = strip[:, :1], strip[:, 1:] - strip[:, :-1]  # unsigned, wraps as TIFF requires
        strip = np.concatenate([first, rest], axis=1)
    strip = strip.astype(strip.dtype.newbyteorder(layout.order), copy=False)
    if page.compression == PACKBITS:
        return b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in strip)
    encode = ENCODERS.get(page.compression)
    return bytes(encode(strip.tobytes())) if encode else strip.tobytes()
