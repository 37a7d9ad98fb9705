"""Small parts of a black-and-white film that have color, as a logo or a time code, and keep it."""

from collections.abc import Sequence

import cv2
import numpy as np

from colorcli.color.detection import GRID
from colorcli.color.ycbcr import Plane

FAINT, CLEAR = 0.02, 0.06
"""Distances from the frame's own tone: up to the first, a sample takes the new color; from the second on, it
keeps its own; in between, it takes a mixture."""


class OwnColor:
    """A frame's own chroma, and how much of it each sample keeps."""

    def __init__(self, chroma: Plane, cells: Sequence[int]) -> None:
        """Chroma [2, h, w], and the cells of `GRID`, row by row, in or beside which color is kept."""
        self._chroma = chroma
        tone = np.median(chroma[:, ::4, ::4], axis=(1, 2))
        distance = cv2.magnitude(*(plane - value for plane, value in zip(chroma, tone, strict=True)))
        clear = np.clip((distance - FAINT) / (CLEAR - FAINT), 0, 1)
        # What a logo encloses is as gray as it was: white letters must not be colorized.
        side = max(3, round(chroma.shape[2] / GRID[1])) | 1
        closed = cv2.morphologyEx(clear, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
        self._weights = np.maximum(closed, cv2.blur(closed, (3, 3))) * _region(cells, chroma.shape[1:])

    def put_into(self, planes: Plane, rows: slice) -> None:
        """Mix it into new chroma [2, n, w] of these rows, in place."""
        planes += self._weights[rows] * (self._chroma[:, rows] - planes)


def _region(cells: Sequence[int], shape: tuple[int, ...]) -> Plane:
    """1 in the cells and those around them, and falling to 0 beyond: [h, w]."""
    marked = np.zeros(GRID, np.float32)
    marked.ravel()[list(cells)] = 1
    wide = cv2.dilate(marked, np.ones((3, 3), np.uint8))
    return cv2.resize(wide, shape[::-1], interpolation=cv2.INTER_LINEAR)
