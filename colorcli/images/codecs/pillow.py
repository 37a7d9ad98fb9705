"""WebP, BMP, AVIF, HEIC: read and written by Pillow, as exactly as each format can hold a picture."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from colorcli.errors import InputError, SetupError
from colorcli.images.codecs.base import Metadata, Page, Still
from colorcli.images.codecs.registry import Format
from colorcli.images.metadata import icc
from colorcli.images.metadata.exif import orientation
from colorcli.images.metadata.xmp import with_provenance
from colorcli.images.raster import Pixels, Raster
from colorcli.models.card import ModelCard

PILLOW = {Format.WEBP: "WEBP", Format.BMP: "BMP", Format.AVIF: "AVIF", Format.HEIC: "HEIF"}
EXACT: dict[Format, dict[str, Any]] = {
    Format.WEBP: {"lossless": True, "exact": True, "method": 4},
    Format.BMP: {},
    Format.AVIF: {"quality": 100, "subsampling": "4:4:4", "speed": 8},
    Format.HEIC: {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
}
"""Lossless, or so near it that gray keeps within a code value; lossy WebP has only 220 shades of gray."""
EXIF_MARK = b"Exif\0\0"


def read(source: Path, data: bytes, kind: Format) -> Still:
    """Decode a picture of 8 bits.

    Raises:
        InputError: it is damaged, an animation, or has more than 8 bits.
        SetupError: HEIC, and pillow-heif is not installed.
    """
    prepare(kind)
    try:
        image = Image.open(io.BytesIO(data), formats=[PILLOW[kind]])
        if getattr(image, "n_frames", 1) > 1:
            raise InputError(source, f"an animated {kind.upper()}", "turn it into a film, or single pictures")
        if kind is Format.HEIC and image.info.get("bit_depth", 8) > 8:
            raise InputError(
                source, "more than 8 bits, which are not read from HEIC", "save it as 16 bit TIFF"
            )
        image.load()
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError) as error:
        raise InputError(source, f"damaged {kind.upper()} ({error})", "scan or copy it again") from error
    exif = image.info.get("exif") or None
    exif = exif.removeprefix(EXIF_MARK) if exif else None
    metadata = Metadata(exif, image.info.get("xmp"), image.info.get("icc_profile"), image.info.get("dpi"))
    page = Page(Raster.of(pixels_of(image)), metadata, orientation(exif))
    return Still(page, lambda color, card: encode(kind, color, metadata, card))


def encode(kind: Format, color: Raster, metadata: Metadata, card: ModelCard | None) -> bytes:
    """The raster in a format that holds 8 bits, with its metadata, marked with the model of `card`.

    Raises:
        SetupError: HEIC, and pillow-heif is not installed.
    """
    prepare(kind)
    options = dict(EXACT[kind])
    if kind is Format.BMP:
        options |= {"dpi": metadata.dpi} if metadata.dpi else {}
    else:
        xmp = with_provenance(metadata.xmp, card) if card else metadata.xmp
        profile = icc.for_rgb(metadata.icc)
        exif = EXIF_MARK + metadata.exif if metadata.exif else None
        options |= {
            name: value for name, value in (("exif", exif), ("xmp", xmp), ("icc_profile", profile)) if value
        }
    target = io.BytesIO()
    Image.fromarray(color.whole()).save(target, PILLOW[kind], **options)
    return target.getvalue()


def pixels_of(image: Image.Image) -> Pixels:
    """A decoded picture as [H, W, C] uint8 of gray, gray and alpha, RGB, or RGBA."""
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[:, :, None]
    if image.mode in ("LA", "RGB", "RGBA"):
        return np.asarray(image)
    alpha = image.mode in ("PA", "RGBX", "La", "RGBa") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if alpha else "RGB"))


def prepare(kind: Format) -> None:
    """Make Pillow able to read `kind`; raises SetupError where that needs a library that is missing."""
    if kind is not Format.HEIC:
        return
    try:
        import pillow_heif
    except ImportError as error:
        remedy = "pip install 'colorcli[heic]'"
        raise SetupError("HEIC", "pillow-heif is not installed", remedy) from error
    pillow_heif.register_heif_opener()
