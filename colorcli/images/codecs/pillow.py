"""WebP, BMP and AVIF, read and written by Pillow, as exactly as each format can hold an image."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from colorcli.errors import InputError, RefusedError
from colorcli.images.codecs.base import Metadata, OutputPage, Page, SinglePageCodec, Size
from colorcli.images.metadata import exif
from colorcli.images.raster import Pixels, Raster

EXIF_MARK = b"Exif\0\0"


class PillowCodec(SinglePageCodec):
    """An 8-bit format that Pillow reads and writes."""

    def __init__(
        self, name: str, *, pillow_name: str | None = None, holds_metadata: bool = True, **options: Any
    ):
        """`options` are for Pillow's writer: lossless, or so nearly that gray is kept within a code value."""
        self.name = name
        self._pillow_name = pillow_name or name.upper()
        self._holds_metadata = holds_metadata
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
        if getattr(image, "n_frames", 1) > 1:
            cause = f"an animated {self.name}"
            raise InputError(source, cause, "convert it to a video or to single images first")
        if image.info.get("bit_depth", 8) > 8:
            cause = f"more than 8 bits, which are not read from {self.name}"
            raise InputError(source, cause, "save it as 16 bit TIFF")
        image.load()
        block = image.info.get("exif")
        block = block.removeprefix(EXIF_MARK) if block else None
        metadata = Metadata(
            block, image.info.get("xmp"), image.info.get("icc_profile"), image.info.get("dpi")
        )  # fmt: skip
        return Page(Raster.of(_pixels(image)), metadata, exif.orientation(block))

    def encode(self, page: OutputPage) -> bytes:
        metadata, options = page.metadata, dict(self._options)
        if not self._holds_metadata:
            options |= {"dpi": metadata.dpi} if metadata.dpi else {}
        else:
            block = EXIF_MARK + metadata.exif if metadata.exif else None
            fields = (("exif", block), ("xmp", metadata.xmp), ("icc_profile", metadata.icc))
            options |= {name: value for name, value in fields if value}
        target = io.BytesIO()
        Image.fromarray(page.raster.at_8_bits().array()).save(target, self._pillow_name, **options)
        return target.getvalue()


# WebP is written without loss because lossy WebP has only 220 shades of gray.
WEBP = PillowCodec("WebP", lossless=True, exact=True, method=4)
BMP = PillowCodec("BMP", holds_metadata=False)
AVIF = PillowCodec("AVIF", quality=100, subsampling="4:4:4", speed=8)


def _pixels(image: Image.Image) -> Pixels:
    """A decoded image as [H, W, C] uint8 of gray, gray and alpha, RGB, or RGBA."""
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[:, :, None]
    if image.mode in ("LA", "RGB", "RGBA"):
        return np.asarray(image)
    alpha = image.mode in ("PA", "RGBX", "La", "RGBa") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if alpha else "RGB"))
