"""What training asks for: chroma near the truth, pictures that look alike, a discriminator convinced."""

import torch
import torch.nn.functional as F
from torch import Tensor

from colorcli.core.color import BT601


def rgb_from_ycbcr(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma [N, 1, H, W], chroma [N, 2, H, W] (BT.601) -> R'G'B' [N, 3, H, W], not clipped."""
    blue = (2 - 2 * BT601.kb) * chroma[:, :1]
    red = (2 - 2 * BT601.kr) * chroma[:, 1:]
    green = -(BT601.kr * red + BT601.kb * blue) / BT601.kg
    return luma + torch.cat([red, green, blue], dim=1)


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """Smooth L1 between chroma planes; quadratic below 0.02, so that tiny errors in grey do not dominate."""
    return F.smooth_l1_loss(made, real, beta=0.02)


def perceptual_loss(made: list[Tensor], real: list[Tensor]) -> Tensor:
    """Distance between SqueezeNet's features of two pictures, all layers with equal weight.

    LPIPS (Zhang et al. 2018) without its learned weights.
    """
    distances = [(a - b).square().sum(1).mean() for a, b in zip(made, real, strict=True)]
    return torch.stack(distances).mean()


def discriminator_loss(real: list[Tensor], made: list[Tensor]) -> Tensor:
    """Hinge loss (Lim and Ye 2017) over each head's verdicts on real and made chroma, all heads alike."""
    hinges = [F.relu(1 - a).mean() + F.relu(1 + b).mean() for a, b in zip(real, made, strict=True)]
    return torch.stack(hinges).mean()


def generator_loss(made: list[Tensor]) -> Tensor:
    return -torch.stack([verdicts.mean() for verdicts in made]).mean()
