"""Whether a frame already has color, told apart from tinting, toning and chroma noise.

Tinted, toned and faded black-and-white film has chroma, but it is one color for each brightness. What is
left when that is taken away is color that a scene gave.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane

GRID = (64, 48)
"""Columns and rows at which frames are judged, at least."""
BRIGHTNESSES = 16
COLORED, COLORLESS = 3.5 / 255, 2.0 / 255
"""Chroma left over (root mean square) from which a frame counts as colored, and up to which as colorless;
between the two it is what the frame before was."""


class ColorDetector:
    """Judges frames in order."""

    def __init__(self, colored: bool = False) -> None:
        """`colored`: what the frame before the first one was."""
        self.colored = colored

    def sees(self, luma: Plane, chroma: Plane) -> bool:
        """Whether a frame is colored: luma [h, w] in [0, 1], chroma [2, h, w], as `thumbnail` has them."""
        left = untoned_chroma(luma, chroma)
        if left > COLORED:
            self.colored = True
        elif left < COLORLESS:
            self.colored = False
        return self.colored


def thumbnail(planes: list[NDArray[Any]], bits: int) -> Plane:
    """Planes of code values, all of one size, at about the size frames are judged at, over their range.

    Shrunk by a whole factor, which OpenCV does many times faster than any other.
    """
    height, width = planes[0].shape
    factor = max(1, min(width // GRID[0], height // GRID[1]))
    size = (width // factor, height // factor)
    whole = [plane[: size[1] * factor, : size[0] * factor] for plane in planes]
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in whole]
    return np.stack(small).astype(np.float32) * (1 / ((1 << bits) - 1))


def untoned_chroma(luma: Plane, chroma: Plane) -> float:
    """Root mean square of chroma [2, h, w] less its mean at each brightness of luma [h, w] in [0, 1]."""
    brightness = np.minimum((luma * BRIGHTNESSES).astype(np.intp), BRIGHTNESSES - 1).ravel()
    count = np.maximum(np.bincount(brightness, minlength=BRIGHTNESSES), 1)
    left = 0.0
    for plane in chroma.reshape(2, -1):
        tone = np.bincount(brightness, plane, minlength=BRIGHTNESSES) / count
        left += float(np.square(plane - tone[brightness]).mean())
    return float(np.sqrt(left))
