"""The condition that generator and discriminator share: luma and the colors already known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane

CHANNELS = 4
"""Luma, hint Cb, hint Cr, hint mask."""


@dataclass(frozen=True)
class Hints:
    """Colors already known at some pixels: a user's, a reference's, or the previous frame's."""

    chroma: Plane
    """[2, H, W] in [-0.5, 0.5]; its value where the mask is 0 does not matter."""
    mask: Plane
    """[H, W] in [0, 1]; 0 where the color is unknown."""


def condition(luma: Plane, hints: Hints | None = None) -> NDArray[np.float32]:
    """Luma [H, W] in [0, 1] and optional hints of the same size -> [4, H, W]."""
    planes = np.zeros((CHANNELS, *luma.shape), np.float32)
    planes[0] = luma
    if hints is not None:
        planes[1:3] = hints.chroma * hints.mask
        planes[3] = hints.mask
    return planes
