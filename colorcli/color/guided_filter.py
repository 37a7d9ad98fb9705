"""Luma-guided upsampling: brings chroma from the network's size to the picture's, and keeps edges sharp.

The fast guided filter (He and Sun 2015, arXiv:1505.00996): within a small window, chroma is modeled as
`a * luma + b`. a and b are fitted at the network's size, upsampled, and applied to the picture's own luma.
"""

from functools import partial

import cv2
import numpy as np

from colorcli.color.ycbcr import Plane

RADIUS = 2
"""Window radius in pixels of the network's size: wide enough to span an edge; wider ones mix colors."""
EPSILON = 4e-4
"""Luma variance, about 5 code values squared, below which a window counts as flat: grain stays gray."""


def guided_upsample(chroma: Plane, small_luma: Plane, luma: Plane) -> Plane:
    """Upsample chroma.

    Args:
        chroma: [2, h, w] in [-0.5, 0.5], predicted from `small_luma`.
        small_luma: [h, w] in [0, 1].
        luma: [H, W] in [0, 1].

    Returns:
        Chroma [2, H, W], whose edges are those of `luma`.
    """
    size = (luma.shape[1], luma.shape[0])
    result = np.empty((2, *luma.shape), np.float32)
    for slope, offset, target in zip(*guide(chroma, small_luma), result, strict=True):
        cv2.resize(slope, size, dst=target, interpolation=cv2.INTER_LINEAR)
        target *= luma
        target += cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
    return result


def guide(chroma: Plane, luma: Plane, radius: int = RADIUS, epsilon: float = EPSILON) -> tuple[Plane, Plane]:
    """Fit chroma [2, h, w] to luma [h, w] in every window: slopes a and offsets b, [2, h, w] each.

    Args:
        radius: of the window, in pixels.
        epsilon: luma variance below which a window counts as flat.
    """
    side = 2 * radius + 1
    window_mean = partial(cv2.blur, ksize=(side, side), borderType=cv2.BORDER_REFLECT)
    mean_luma = window_mean(luma)
    variance = window_mean(luma * luma) - mean_luma * mean_luma
    slopes, offsets = np.empty_like(chroma), np.empty_like(chroma)
    for plane, slope, offset in zip(chroma, slopes, offsets, strict=True):
        mean = window_mean(plane)
        fit = (window_mean(luma * plane) - mean_luma * mean) / (variance + np.float32(epsilon))
        slope[:] = window_mean(fit)
        offset[:] = window_mean(mean - fit * mean_luma)
    return slopes, offsets
