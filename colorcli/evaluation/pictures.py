"""Pictures to train on, to calibrate with and to evaluate: finding and reading them.

All pictures are R'G'B' [H, W, 3] uint8.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color import pictures
from colorcli.color.ycbcr import Plane, fit_gamut, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.errors import InputError
from colorcli.evaluation import coco

Picture = NDArray[np.uint8]


def find_pictures(data: Sequence[str]) -> list[Path]:
    """Folders, or `coco-sample` (its training part), -> picture files in a stable order.

    Raises:
        InputError: a folder is missing, or none of them holds a picture.
    """
    files: list[Path] = []
    for source in data:
        if source == coco.NAME:
            files += coco.coco_sample()[: -coco.TEST]
        elif not Path(source).is_dir():
            cause = "is not a folder" if Path(source).exists() else "no such folder"
            raise InputError(source, cause, f"give folders of pictures, or {coco.NAME}")
        else:
            found = Path(source).rglob("*")
            files += sorted(path for path in found if path.suffix.lower() in pictures.SUFFIXES)
    if not files:
        suffixes = ", ".join(sorted(pictures.SUFFIXES))
        raise InputError(", ".join(data), "no pictures in it", f"give folders with {suffixes}")
    return files


def read_picture(path: Path, short_side: int) -> Picture | None:
    """A picture, reduced to `short_side` pixels if it is larger; None if it cannot be read."""
    try:
        picture = pictures.read_picture(path)
    except InputError:
        return None
    scale = short_side / min(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def central_square(rgb: Picture, size: int) -> Picture:
    """The largest central square, resized to [size, size, 3]."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def to_planes(rgb: Picture) -> tuple[Plane, Plane]:
    """A picture -> luma [H, W] in [0, 1] and chroma [2, H, W] (BT.601)."""
    return ycbcr_from_rgb(rgb.transpose(2, 0, 1) / np.float32(255))


def from_planes(luma: Plane, chroma: Plane | None = None) -> Picture:
    """Luma [H, W] and chroma [2, H, W] -> a picture, in gamut as in `run`; without chroma a gray one."""
    rgb = np.stack([luma] * 3) if chroma is None else rgb_from_ycbcr(luma, fit_gamut(luma, chroma))
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
