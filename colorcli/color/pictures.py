"""The simple reader: any picture file as RGB, for hints, references, evaluation and previews.

Files that are colorized are not read here but by `colorcli.images.codecs`, which keep depth, alpha and
metadata.
"""

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from colorcli.errors import InputError

Rgb = NDArray[np.uint8]
"""[H, W, 3]."""

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".avif"))
"""Of the files that a folder of pictures is searched for."""
JPEG = b"\xff\xd8\xff"
REDUCTIONS = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


def read_picture(path: Path, *, long_side: int | None = None) -> Rgb:
    """A picture as it is displayed, RGB [H, W, 3] of 8 bits, its alpha ignored.

    `long_side`: the picture is made smaller, if need be, until its long side has at most so many pixels; a
    JPEG is then decoded no larger than needed.

    Raises:
        InputError: it cannot be read as a picture.
    """
    data = _read(path)
    flags = cv2.IMREAD_COLOR
    if long_side and data.startswith(JPEG):
        flags = _reduction(data, long_side)
    decoded = _decoded(data, flags)
    picture = _decoded_by_pillow(path, data, "RGB") if decoded is None else decoded[..., ::-1]
    return limited(picture, long_side) if long_side else np.ascontiguousarray(picture)


def read_layer(path: Path) -> NDArray[np.uint8]:
    """A picture with its transparency, as stored: RGBA [H, W, 4] of 8 bits, opaque if it has no alpha.

    Raises:
        InputError: it cannot be read as a picture.
    """
    data = _read(path)
    decoded = _decoded(data, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.ndim != 3 or decoded.shape[2] != 4:
        return _decoded_by_pillow(path, data, "RGBA")
    narrow = decoded if decoded.dtype == np.uint8 else (decoded >> 8).astype(np.uint8)
    return cv2.cvtColor(narrow, cv2.COLOR_BGRA2RGBA)


def read_opacity(path: Path) -> NDArray[np.float32] | None:
    """Where a picture is opaque, [H, W] in [0, 1]; None if it is so everywhere, or OpenCV cannot read it.

    Raises:
        InputError: the file cannot be read.
    """
    decoded = _decoded(_read(path), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.ndim != 3 or decoded.shape[2] != 4:
        return None
    alpha = (decoded[..., 3] / np.iinfo(decoded.dtype).max).astype(np.float32)
    return alpha if alpha.min() < 1 else None


def limited(picture: Rgb, long_side: int) -> Rgb:
    """RGB [H, W, 3], made smaller if its long side has more than `long_side` pixels."""
    scale = min(1.0, long_side / max(picture.shape[:2]))
    size = tuple(max(1, round(length * scale)) for length in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        cause = f"cannot be read ({error.strerror})"
        raise InputError(path, cause, "check the name and its permissions") from error


def _decoded(data: bytes, flags: int) -> NDArray[np.uint8] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        return None


def _reduction(data: bytes, long_side: int) -> int:
    with contextlib.suppress(OSError, ValueError, SyntaxError), Image.open(io.BytesIO(data)) as header:
        for step, flag in REDUCTIONS.items():
            if max(header.size) // step >= long_side:
                return flag
    return cv2.IMREAD_COLOR


def _decoded_by_pillow(path: Path, data: bytes, mode: str) -> NDArray[np.uint8]:
    """For what OpenCV cannot read, as HEIC."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(ImageOps.exif_transpose(image).convert(mode))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(path, "cannot be read as a picture", "check what the file is") from error
