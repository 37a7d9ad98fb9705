"""Chroma as a classification over color bins (Zhang et al. 2016, arXiv:1603.08511).

A regressor that cannot tell whether a coat is red or blue predicts gray-brown; a classifier can predict both,
and learns more about objects by it. The bins form a grid over chroma that is finer near gray, where most
colors in photographs lie.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

POSITIVE = (0.03, 0.065, 0.11, 0.17, 0.25, 0.36)
LEVELS = torch.tensor([*(-level for level in reversed(POSITIVE)), 0.0, *POSITIVE])
"""Cb, and Cr, of the grid lines."""
COUNT = len(LEVELS) ** 2
"""Number of bins."""


def colors() -> Tensor:
    """The chroma of each bin, [COUNT, 2]."""
    return torch.cartesian_prod(LEVELS, LEVELS)


@cache
def _levels(device: torch.device) -> Tensor:
    return LEVELS.to(device)


def classification_loss(logits: Tensor, chroma: Tensor) -> Tensor:
    """Cross-entropy of logits [N, h, w, COUNT] with true chroma [N, 2, H, W], which is averaged to h x w.

    The target of a pixel is a distribution over the four bins around its color, with the color as its mean.
    """
    levels = _levels(chroma.device)
    real = F.interpolate(chroma, logits.shape[1:3], mode="area").clamp(levels[0], levels[-1])
    below = (torch.bucketize(real.contiguous(), levels, right=True) - 1).clamp(0, len(levels) - 2)
    above = (real - levels[below]) / (levels[below + 1] - levels[below])
    (blue, red), (to_blue, to_red) = below.unbind(1), above.unbind(1)
    first = len(levels) * blue + red
    colors = torch.stack([first, first + 1, first + len(levels), first + len(levels) + 1], dim=-1)
    shares = torch.stack(
        [(1 - to_blue) * (1 - to_red), (1 - to_blue) * to_red, to_blue * (1 - to_red), to_blue * to_red],
        dim=-1,
    )
    return -(shares * F.log_softmax(logits.float(), dim=-1).gather(-1, colors)).sum(-1).mean()
