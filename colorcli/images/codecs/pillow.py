"""WebP, BMP and AVIF, read and written by Pillow, as exactly as each format can hold an image."""

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from colorcli.errors import InputError, RefusedError
from colorcli.images.codecs.base import (
    ALPHA,
    EXIF,
    HEADER_BYTES,
    ICC,
    ORIENTATION,
    XMP,
    Metadata,
    OutputPage,
    Page,
    SinglePageCodec,
    Size,
)
from colorcli.images.metadata import exif
from colorcli.images.raster import Pixels, Raster

EXIF_MARK = b"Exif\0\0"
HIGH_BIT_DEPTH = 0x40
METER = 0.0254
"""Inches are so many meters."""
V4_START = 122
"""Bytes of the headers of a BMP with alpha."""


class PillowCodec(SinglePageCodec):
    """An 8-bit format that Pillow reads and writes."""

    holds = frozenset((ALPHA, EXIF, XMP, ICC, ORIENTATION))

    def __init__(self, name: str, *, pillow_name: str | None = None, **options: Any):
        """`options` are for Pillow's writer: lossless, or so nearly that gray is kept within a code value."""
        self.name = name
        self._pillow_name = pillow_name or name.upper()
        self._options = options

    def probe(self, source: Path) -> Size:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit on pixels; the caller checks ours
            try:
                with Image.open(source, formats=[self._pillow_name]) as image:
                    return Size(image.height, image.width)
            except Image.DecompressionBombError as error:
                remedy = "raise --max-pixels if the file can be trusted"
                raise RefusedError(source, str(error), remedy) from error

    def decode(self, source: Path, data: bytes) -> Page:
        image = Image.open(io.BytesIO(data), formats=[self._pillow_name])
        stills = getattr(image, "n_frames", 1)
        if stills > 1 and getattr(image, "is_animated", True) and self._pillow_name != "HEIF":
            cause = f"an animated {self.name}"
            raise InputError(source, cause, "convert it to a video or to single images first")
        if image.info.get("bit_depth", 8) > 8 or _is_deep_avif(data):
            cause = f"more than 8 bits, which are not read from {self.name}"
            raise InputError(source, cause, "save it as 16 bit TIFF")
        image.load()
        block = image.info.get("exif")
        block = block.removeprefix(EXIF_MARK) if block else None
        metadata = Metadata(
            block, image.info.get("xmp"), image.info.get("icc_profile"), image.info.get("dpi")
        )  # fmt: skip
        notes = _left_out(image, stills)
        return Page(Raster.of(_pixels(image)), metadata, exif.orientation(block), notes)

    def encode(self, page: OutputPage) -> bytes:
        metadata = page.metadata
        block = EXIF_MARK + metadata.exif if metadata.exif else None
        fields = (("exif", block), ("xmp", metadata.xmp), ("icc_profile", metadata.icc))
        options = self._options | {name: value for name, value in fields if value}
        target = io.BytesIO()
        Image.fromarray(page.raster.at_8_bits().array()).save(target, self._pillow_name, **options)
        return target.getvalue()


class BmpCodec(PillowCodec):
    """BMP, whose alpha Pillow reads but does not write."""

    holds = frozenset((ALPHA,))

    def encode(self, page: OutputPage) -> bytes:
        pixels = page.raster.at_8_bits().array()
        dpi = page.metadata.dpi
        if pixels.shape[2] == 3:
            target = io.BytesIO()
            Image.fromarray(pixels).save(target, "BMP", **({"dpi": dpi} if dpi else {}))
            return target.getvalue()
        height, width = pixels.shape[:2]
        across, down = (round(value / METER) for value in dpi or (0, 0))
        rows = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
        # BITMAPFILEHEADER and BITMAPV4HEADER: where red, green, blue and alpha are, then the color space.
        sizes = struct.pack("<2sIII", b"BM", V4_START + len(rows), 0, V4_START)
        shape = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(rows), across, down, 0, 0)
        masks = struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
        return sizes + shape + masks + bytes(V4_START - len(sizes + shape + masks)) + rows


# WebP is written without loss because lossy WebP has only 220 shades of gray.
WEBP = PillowCodec("WebP", lossless=True, exact=True, method=4)
BMP = BmpCodec("BMP")
GIF = PillowCodec("GIF")  # only read
AVIF = PillowCodec("AVIF", quality=100, subsampling="4:4:4", speed=8)


def _is_deep_avif(data: bytes) -> bool:
    """Whether the first AV1 configuration box says 10 or 12 bits (AV1-ISOBMFF, 2.3.3)."""
    _, found, box = data[:HEADER_BYTES].partition(b"av1C")
    return bool(found) and len(box) > 2 and bool(box[2] & HIGH_BIT_DEPTH)


def _left_out(image: Image.Image, stills: int) -> tuple[str, ...]:
    """What a HEIC file has beside its primary image, which is all that is written."""
    parts = (
        (stills > 1, f"holds {stills} images: only the primary one is in the output"),
        (image.info.get("depth_images"), "its depth image is left out"),
        (image.info.get("aux"), "its auxiliary images (gain map, mattes) are left out"),
    )
    return tuple(note for present, note in parts if present)


def _pixels(image: Image.Image) -> Pixels:
    """A decoded image as [H, W, C] uint8 of gray, gray and alpha, RGB, or RGBA."""
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[:, :, None]
    if image.mode in ("LA", "RGB", "RGBA"):
        return np.asarray(image)
    alpha = image.mode in ("PA", "RGBX", "La", "RGBa") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if alpha else "RGB"))
