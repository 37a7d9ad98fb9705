"""Chroma as a choice among colors: what a thing may be, before one color is settled on.

A regressor that does not know whether a coat is red or blue answers gray-brown; a classifier can say "red or
blue" and learns more of what things are by it (Zhang et al. 2016). The colors are a grid over chroma, finer
near gray, where most of the world lies.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

POSITIVE = (0.03, 0.065, 0.11, 0.17, 0.25, 0.36)
LEVELS = torch.tensor([*(-level for level in reversed(POSITIVE)), 0.0, *POSITIVE])
"""Values of Cb, and of Cr, that the colors have."""
COUNT = len(LEVELS) ** 2


def colors() -> Tensor:
    """The chroma of each color, [COUNT, 2]."""
    return torch.cartesian_prod(LEVELS, LEVELS)


def classification_loss(logits: Tensor, chroma: Tensor) -> Tensor:
    """Cross-entropy of logits [N, h, w, COUNT] with true chroma [N, 2, H, W], averaged to their size.

    A true color is shared among the four around it so that their mean is the color itself.
    """
    levels = LEVELS.to(chroma.device)
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
