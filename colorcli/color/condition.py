"""The condition, input of generators and discriminators: luma, and hints where colors are known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane

CHANNELS = 4
"""Luma, hint Cb, hint Cr, hint mask, in this order."""


@dataclass(frozen=True)
class Hints:
    """Colors known at some pixels: from the user, a reference picture, or a warped reference frame."""

    chroma: Plane
    """BT.601 chroma [2, H, W] in [-0.5, 0.5]; ignored where the mask is 0."""
    mask: Plane
    """[H, W] in [0, 1]; 0 where the color is unknown."""
    fills_regions: bool = False
    """They fill what they are meant for, but for gaps."""

    def over(self, other: "Hints | None") -> "Hints":
        """These hints, and others of the same size where these are unknown."""
        if other is None:
            return self
        below = (1 - self.mask) * other.mask
        mask = self.mask + below
        chroma = (self.mask * self.chroma + below * other.chroma) / np.maximum(mask, np.float32(1e-6))
        return Hints(chroma.astype(np.float32), mask.astype(np.float32))


def condition(luma: Plane, hints: Hints | None = None) -> NDArray[np.float32]:
    """Build the condition [4, H, W] from luma [H, W] in [0, 1] and hints of the same size."""
    planes = np.zeros((CHANNELS, *luma.shape), np.float32)
    planes[0] = luma
    if hints is not None:
        planes[1:3] = hints.chroma * hints.mask
        planes[3] = hints.mask
    return planes
