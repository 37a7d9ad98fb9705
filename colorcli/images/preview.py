"""Small pictures of files, for pages that show many: upright, 8 bit, decoded no larger than needed."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorcli.errors import ColorcliError
from colorcli.images.codecs import pillow as others
from colorcli.images.codecs.pillow import pixels_of
from colorcli.images.codecs.registry import HEAD, Format, sniff

Rgb = NDArray[np.uint8]

REDUCTIONS = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


def preview(path: Path, side: int) -> Rgb | None:
    """The still at `path` as RGB [h, w, 3], its long side at most `side`; None where it cannot be read."""
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD))
    picture = _by_pillow(path, kind) if kind is Format.HEIC else _by_opencv(path, side, kind)
    return None if picture is None else fitted(picture, side)


def fitted(picture: Rgb, side: int) -> Rgb:
    """RGB [H, W, 3] made smaller, if need be, until its long side is at most `side`."""
    scale = min(1.0, side / max(picture.shape[:2]))
    size = tuple(max(1, round(length * scale)) for length in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _by_opencv(path: Path, side: int, kind: Format | None) -> Rgb | None:
    flags = cv2.IMREAD_COLOR
    if kind is Format.JPEG:
        with Image.open(path) as header:
            long = max(header.size)
        fitting = [step for step in REDUCTIONS if long // step >= side]
        flags = REDUCTIONS[max(fitting)] if fitting else flags
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        decoded = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if decoded is None else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _by_pillow(path: Path, kind: Format) -> Rgb | None:
    try:
        others.prepare(kind)
        with Image.open(path) as image:
            return np.ascontiguousarray(pixels_of(image.convert("RGB"))[:, :, :3])
    except (ColorcliError, OSError, ValueError):
        return None
