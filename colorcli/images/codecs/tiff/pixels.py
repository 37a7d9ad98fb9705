"""The samples of a TIFF page, however encoded, as rows of gray or RGB of 8 or 16 bits."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from colorcli.errors import InputError
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.tiff.libtiff import decode_segment
from colorcli.images.metadata import icc
from colorcli.images.raster import BAND_PIXELS, Pixels, Raster, regrouped, stretched

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR = 0, 1, 2, 3, 5, 6
COLORS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, INKS: 4, YCBCR: 3}
"""Samples of a pixel that are color, by photometric interpretation."""
NONE, FAX, OLD_JPEG = 1, (2, 3, 4), 6
DEFLATE = (8, 32946)
READ_BY_LIBTIFF = (*FAX, *DEFLATE, 5, 32773, 50000)
"""Fax, deflate, LZW, PackBits and Zstandard."""
MOST_INFLATED = 1 << 28
"""Bytes of a strip or tile of which the checksum is looked at."""
JPEG_COMPRESSIONS = (OLD_JPEG, 7)
"""With these, Y'CbCr is decoded to RGB."""

Normalize = Callable[[NDArray[Any]], Pixels]


def raster_of(source: Path, page: tifffile.TiffPage, profile: bytes | None) -> Raster:
    """The pixels of the page, read when they are asked for.

    Raises:
        InputError: floating point, more than 16 bits, or colors that are not gray, RGB, palette or CMYK.
    """
    _check(source, page)
    if page.compression == OLD_JPEG:
        return _old_jpeg(source, page)
    _estimate_counts(page)
    photometric = int(page.photometric)
    extra = page.samplesperpixel - COLORS[photometric]
    bits = page.bitspersample
    depth = 8 if bits <= 8 or photometric == PALETTE else 16
    channels = (1 if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) else 3) + min(extra, 1)
    normalize = _normalizer(page, photometric, depth, profile)

    def bands() -> Iterator[Pixels]:
        # Some programs write strips of a single row.
        for band in regrouped(_stored_bands(source, page), max(1, BAND_PIXELS // page.imagewidth)):
            yield normalize(band)

    return Raster(page.imagelength, page.imagewidth, channels, depth, bands)


def _check(source: Path, page: tifffile.TiffPage) -> None:
    remedy = "save it as 8 or 16 bit gray or RGB"
    if not (page.imagelength and page.imagewidth):
        raise DamagedError("a page without size")
    if not (page.rowsperstrip or page.is_tiled) or (
        page.is_tiled and not (page.tilelength and page.tilewidth)
    ):
        raise DamagedError("strips or tiles without size")
    if int(page.photometric) not in COLORS:
        kind = getattr(page.photometric, "name", page.photometric)
        raise InputError(source, f"a TIFF page of {kind} samples, which is not read", remedy)
    if page.dtype is None or page.dtype.kind not in "bu" or page.bitspersample > 16 or page.imagedepth > 1:
        raise InputError(source, f"a TIFF page with samples of type {page.dtype}", remedy)
    if page.photometric == PALETTE and page.colormap is None:
        raise DamagedError("a palette image without a palette")
    if page.photometric == YCBCR and page.compression not in JPEG_COMPRESSIONS:
        raise InputError(source, "a TIFF page of Y'CbCr samples not compressed as JPEG", remedy)
    if not 0 <= page.samplesperpixel - COLORS[int(page.photometric)] <= 1:
        raise InputError(source, f"a TIFF page with {page.samplesperpixel} samples a pixel", remedy)


def _estimate_counts(page: tifffile.TiffPage) -> None:
    """Give strips and tiles a size where the file says 0, as libtiff does: all they need, or all there is."""
    starts = sorted(set(page.dataoffsets))
    size = page.parent.filehandle.size
    counts = list(page.databytecounts) + [0] * (len(page.dataoffsets) - len(page.databytecounts))
    for index, (start, count) in enumerate(zip(page.dataoffsets, counts, strict=False)):
        if count or not start:
            continue
        following = next((other for other in starts if other > start), size)
        counts[index] = max(0, following - start)
        if page.compression == NONE and not page.is_tiled:
            rows = min(page.rowsperstrip, page.imagelength - index % page.chunked[0] * page.rowsperstrip)
            samples = page.samplesperpixel if page.planarconfig == 1 else 1
            counts[index] = -(-page.imagewidth * samples * page.bitspersample // 8) * rows
    page.databytecounts = tuple(counts)


def _old_jpeg(source: Path, page: tifffile.TiffPage) -> Raster:
    """JPEG in TIFF as it was before TIFF technical note 2, decoded by libtiff.

    Raises:
        InputError: libtiff does not decode it.
    """
    try:
        with Image.open(source, formats=["TIFF"]) as image:
            image.seek(page.index)
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        cause = "a TIFF page in old-style JPEG, which is not read"
        raise InputError(source, cause, "save it as uncompressed TIFF with another program") from error
    if pixels.shape[:2] != (page.imagelength, page.imagewidth):
        raise DamagedError("the size of a page is not that of its image")
    return Raster.of(pixels[:, :, None] if pixels.ndim == 2 else pixels)


def _stored_bands(source: Path, page: tifffile.TiffPage) -> Iterator[NDArray[Any]]:
    """Rows [n, W, C] as stored, as few at a time as the strips or tiles of the file allow."""
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    together = page.planarconfig == 1 or samples == 1
    if together and page.is_memmappable:
        assert page.dtype is not None  # see `_check`
        order = page.dtype.newbyteorder(page.parent.byteorder)
        mapped = np.memmap(source, order, "r", page.dataoffsets[0], (height, width, samples))
        rows = max(1, BAND_PIXELS // width)
        for top in range(0, height, rows):
            yield np.array(mapped[top : top + rows])
    elif together:
        yield from _segment_rows(source, page)
    else:
        pixels: NDArray[Any] = page.asarray().reshape(samples, height, width).transpose(1, 2, 0)
        yield from Raster.of(np.ascontiguousarray(pixels)).bands()


def _segment_rows(source: Path, page: tifffile.TiffPage) -> Iterator[NDArray[Any]]:
    """Strips as they are, or rows of tiles."""
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    for top in range(0, height, rows):
        band = np.zeros((min(rows, height - top), width, samples), page.dtype)
        per_row = -(-width // page.tilewidth) if page.is_tiled else 1
        first = top // rows * per_row
        for index in range(first, first + per_row):
            coded = _segment_bytes(page, index)
            if coded is None:
                continue  # a hole in a sparse file
            piece = _decoded(source, page, index, coded, len(band))
            left = (index - first) * (page.tilewidth if page.is_tiled else width)
            band[: len(piece), left : left + piece.shape[1]] = piece[: len(band), : width - left]
        yield band


def _decoded(source: Path, page: tifffile.TiffPage, index: int, coded: bytes, rows: int) -> NDArray[Any]:
    """A strip of so many rows, or a tile: [n, m, C]. libtiff decodes what only it decodes to the end."""
    size = (page.tilelength, page.tilewidth) if page.is_tiled else (rows, page.imagewidth)
    if page.compression in FAX:
        return decode_segment(source, page.offset, coded, *size)
    try:
        segment, _, shape = page.decode(coded, index, jpegtables=page.jpegtables)
    except Exception:  # imagecodecs has an exception for each compression
        if page.compression not in READ_BY_LIBTIFF:
            raise
        if page.compression in DEFLATE and not _is_undamaged(coded):
            raise DamagedError("a strip or tile that cannot be decoded") from None
        return decode_segment(source, page.offset, coded, *size)
    assert segment is not None  # `coded` is something
    return segment.reshape(segment.shape[-3:])[: shape[-3], : shape[-2]]


def _is_undamaged(coded: bytes) -> bool:
    """Whether deflated data are whole and undamaged, which libtiff does not check."""
    inflate = zlib.decompressobj()
    try:
        inflate.decompress(coded, MOST_INFLATED)
    except zlib.error:
        return False
    return inflate.eof


def _segment_bytes(page: tifffile.TiffPage, index: int) -> bytes | None:
    if index >= min(len(page.databytecounts), len(page.dataoffsets)):
        raise DamagedError("truncated")
    size = page.databytecounts[index]
    if size == 0:
        return None
    handle = page.parent.filehandle
    handle.seek(page.dataoffsets[index])
    content = handle.read(size)
    if len(content) < size:
        raise DamagedError("truncated")
    return bytes(content)


def _normalizer(page: tifffile.TiffPage, photometric: int, depth: int, profile: bytes | None) -> Normalize:
    """A function from stored samples to gray or RGB of `depth` bits, and alpha if there is one."""
    top = (1 << page.bitspersample) - 1
    peak = (1 << depth) - 1
    if photometric == PALETTE:
        colors = np.asarray(page.colormap).T
        table = (colors >> 8 if colors.max() > 255 else colors).astype(np.uint8)
        return lambda band: _with_alpha(_looked_up(table, band[:, :, 0]), band[:, :, 1:])
    if photometric == INKS:
        return lambda band: _with_alpha(icc.rgb_from_cmyk(_native(band[:, :, :4]), profile), band[:, :, 4:])

    def widen(band: NDArray[Any]) -> Pixels:
        band = _native(stretched(band, top))
        return peak - band if photometric == WHITE_IS_ZERO else band

    return widen


def _looked_up(table: NDArray[np.uint8], indices: NDArray[Any]) -> NDArray[np.uint8]:
    indices = indices.astype(np.uint16)
    if indices.max(initial=0) >= len(table):
        raise DamagedError("a color that the palette lacks")
    return table[indices]


def _native(band: NDArray[Any]) -> NDArray[Any]:
    return band.astype(band.dtype.newbyteorder("="), copy=False)


def _with_alpha(color: Pixels, alpha: NDArray[Any]) -> Pixels:
    return np.concatenate([color, alpha.astype(color.dtype)], axis=2) if alpha.shape[2] else color
