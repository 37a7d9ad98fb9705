"""Simulated hints: the colors that a user, a reference picture or the previous frame would supply.

After Zhang et al. 2017 (siggraph17): often none, so that the network colorizes without help; otherwise a few
points, a region of the picture, or all of it. Where they lie is drawn first, and does not depend on the
picture: `train.hints` shows the same places on a GPU.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane

NONE, POINTS = 0.65, 0.9
"""Cumulative probabilities of no hints and of points; the rest reveals a region, as warped frames do."""
LONGEST_SIDE = 9


@dataclass(frozen=True)
class Points:
    """Square patches, each showing its mean color; later ones cover earlier ones."""

    squares: NDArray[np.int64]
    """[n, 3]: side, top and left of each, in pixels; n >= 1."""


@dataclass(frozen=True)
class Region:
    """All pixels on one side of a smooth contour, as optical flow carries over from a known frame."""

    field: Plane
    """[5, 5]: a field whose cubic enlargement is cut at a height."""
    hidden: float
    """Share of the picture below that height, whose colors are not known."""
    error: Plane
    """[2, 1, 1], added to the true chroma."""


def draw_hints(height: int, width: int, rng: np.random.Generator) -> Points | Region | None:
    """Where a picture of this size shows its colors, if anywhere."""
    draw = rng.random()
    if draw < NONE:
        return None
    if draw < POINTS:
        return Points(np.array([_square(height, width, rng) for _ in range(rng.geometric(1 / 8))]))
    field = rng.standard_normal((5, 5)).astype(np.float32)
    return Region(field, rng.uniform(0, 0.9), rng.normal(0, 0.01, (2, 1, 1)).astype(np.float32))


def _square(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int]:
    side = int(rng.integers(1, LONGEST_SIDE, endpoint=True))
    return side, int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))


def simulate_hints(chroma: Plane, rng: np.random.Generator) -> Hints | None:
    """True chroma [2, H, W] -> hints of the same size, or None."""
    _, height, width = chroma.shape
    places = draw_hints(height, width, rng)
    return None if places is None else show_hints(chroma, places)


def show_hints(chroma: Plane, places: Points | Region) -> Hints:
    """The hints that true chroma [2, H, W] gives at these places."""
    _, height, width = chroma.shape
    if isinstance(places, Region):
        field = cv2.resize(places.field, (width, height), interpolation=cv2.INTER_CUBIC)
        mask = (field > np.quantile(field, places.hidden)).astype(np.float32)
        return Hints(chroma + places.error, mask)
    hints = Hints(np.zeros_like(chroma), np.zeros((height, width), np.float32))
    for side, top, left in places.squares:
        patch = np.s_[top : top + side, left : left + side]
        hints.chroma[:, *patch] = chroma[:, *patch].mean(axis=(1, 2), keepdims=True)
        hints.mask[patch] = 1
    return hints
