"""What training asks for: chroma near the truth, pictures that look alike, a discriminator convinced."""

import torch
import torch.nn.functional as F
from torch import Tensor

from colorcli.color.ycbcr import BT601
from colorcli.train.features import Features

WHOLE_DISTANCE = 0.024
"""Brings the distance between two pictures' 1,280 features to the size of the divergence."""


def rgb_from_ycbcr(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma [N, 1, H, W], chroma [N, 2, H, W] (BT.601) -> R'G'B' [N, 3, H, W], not clipped."""
    blue = (2 - 2 * BT601.kb) * chroma[:, :1]
    red = (2 - 2 * BT601.kr) * chroma[:, 1:]
    green = -(BT601.kr * red + BT601.kb * blue) / BT601.kg
    return luma + torch.cat([red, green, blue], dim=1)


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """Smooth L1 between chroma planes; quadratic below 0.02, so that tiny errors in gray do not dominate."""
    return F.smooth_l1_loss(made, real, beta=0.02)


def perceptual_loss(made: list[Tensor], real: list[Tensor]) -> Tensor:
    """Distance between an feature_extractor's taps of two pictures, all depths with equal weight.

    LPIPS (Zhang et al. 2018) without its learned weights.
    """
    distances = [(a - b).square().sum(1).mean() for a, b in zip(made, real, strict=True)]
    return torch.stack(distances).mean()


def recognition_loss(made: Features, real: Features) -> Tensor:
    """How far what an feature_extractor recognizes in the made picture is from what it recognizes in the real one.

    Kullback-Leibler divergence of its opinions, and the distance of what they rest on, about as large.
    """
    assert made.opinion is not None and real.opinion is not None
    assert made.whole is not None and real.whole is not None
    opinion = F.kl_div(made.opinion, real.opinion, reduction="batchmean", log_target=True)
    return opinion + WHOLE_DISTANCE * (made.whole - real.whole).square().sum(1).mean()


def colorfulness_loss(luma: Tensor, made: Tensor, real: Tensor) -> Tensor:
    """How far the pictures' mean colorfulness (Hasler and Suesstrunk 2003) falls short of the originals'.

    0 where it is reached, 1 for gray. Of a batch, not of each picture: one may well be paler than it was.
    """
    return F.relu(1 - _colorfulness(luma, made).mean() / _colorfulness(luma, real).mean())


def _colorfulness(luma: Tensor, chroma: Tensor) -> Tensor:
    red, green, blue = (255 * rgb_from_ycbcr(luma, chroma).clamp(0, 1)).flatten(2).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue])
    # One code value squared more: a root has no gradient at gray.
    spread = (opponents.var(dim=2).sum(0) + 1).sqrt()
    return spread + 0.3 * (opponents.mean(dim=2).square().sum(0) + 1).sqrt()


def discriminator_loss(real: list[Tensor], made: list[Tensor]) -> Tensor:
    """Hinge loss (Lim and Ye 2017) over each head's verdicts on real and made chroma, all heads alike."""
    hinges = [F.relu(1 - a).mean() + F.relu(1 + b).mean() for a, b in zip(real, made, strict=True)]
    return torch.stack(hinges).mean()


def generator_loss(made: list[Tensor]) -> Tensor:
    return -torch.stack([verdicts.mean() for verdicts in made]).mean()
