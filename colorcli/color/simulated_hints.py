"""Simulated hints: the colors that a user, a reference picture or the previous frame would supply.

After Zhang et al. 2017 (siggraph17): often none, so that the network colorizes without help; otherwise a few
points, a region of the picture, or all of it.
"""

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane

NONE, POINTS = 0.65, 0.9
"""Cumulative probabilities of no hints and of points; the rest reveals a region, as warped frames do."""


def simulate_hints(chroma: Plane, rng: np.random.Generator) -> Hints | None:
    """True chroma [2, H, W] -> hints of the same size, or None."""
    draw = rng.random()
    if draw < NONE:
        return None
    return _points(chroma, rng) if draw < POINTS else _region(chroma, rng)


def _points(chroma: Plane, rng: np.random.Generator) -> Hints:
    """One to many square patches of 1 to 9 pixels, each showing its mean color."""
    _, height, width = chroma.shape
    hints = Hints(np.zeros_like(chroma), np.zeros((height, width), np.float32))
    for _ in range(rng.geometric(1 / 8)):
        side = int(rng.integers(1, 10))
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        patch = np.s_[top : top + side, left : left + side]
        hints.chroma[:, *patch] = chroma[:, *patch].mean(axis=(1, 2), keepdims=True)
        hints.mask[patch] = 1
    return hints


def _region(chroma: Plane, rng: np.random.Generator) -> Hints:
    """All pixels on one side of a smooth random contour, as optical flow carries over from a known frame."""
    _, height, width = chroma.shape
    coarse = rng.standard_normal((5, 5)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    mask = (field > np.quantile(field, rng.uniform(0, 0.9))).astype(np.float32)
    return Hints(chroma + rng.normal(0, 0.01, (2, 1, 1)).astype(np.float32), mask)
