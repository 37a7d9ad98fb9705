"""The training losses: reconstruction, perceptual, recognition, colorfulness and the hinge GAN losses.

The classification loss over color bins is in `networks.color_bins`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from colorcli.train.features import Features
from colorcli.train.tensors import rgb_from_ycbcr

EMBEDDING_WEIGHT = 0.024
"""Scales the squared distance of embeddings (1,280 values) to about the size of the divergence."""


def reconstruction_loss(generated: Tensor, real: Tensor) -> Tensor:
    """Smooth L1 between chroma planes; quadratic below 0.02, so that tiny errors in gray do not dominate."""
    return F.smooth_l1_loss(generated, real, beta=0.02)


def perceptual_loss(generated: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean squared distance of feature maps, all depths weighted equally.

    LPIPS (Zhang et al. 2018) without its learned weights.
    """
    distances = [(a - b).square().sum(1).mean() for a, b in zip(generated, real, strict=True)]
    return torch.stack(distances).mean()


def recognition_loss(generated: Features, real: Features) -> Tensor:
    """Difference in what a feature extractor recognizes in generated and in real pictures.

    Kullback-Leibler divergence of the class probabilities plus the distance of the embeddings, of about
    equal size.
    """
    assert generated.log_probs is not None and real.log_probs is not None
    assert generated.embedding is not None and real.embedding is not None
    divergence = F.kl_div(generated.log_probs, real.log_probs, reduction="batchmean", log_target=True)
    distance = (generated.embedding - real.embedding).square().sum(1).mean()
    return divergence + EMBEDDING_WEIGHT * distance


def colorfulness_loss(luma: Tensor, generated: Tensor, real: Tensor) -> Tensor:
    """Shortfall of the batch's mean colorfulness (Hasler and Suesstrunk 2003) from the originals'.

    0 where the originals' is reached, 1 for gray. It is computed for the batch, not for each picture, because
    a single picture may well be paler than its original.
    """
    return F.relu(1 - _colorfulness(luma, generated).mean() / _colorfulness(luma, real).mean())


def _colorfulness(luma: Tensor, chroma: Tensor) -> Tensor:
    red, green, blue = (255 * rgb_from_ycbcr(luma, chroma).clamp(0, 1)).flatten(2).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue])
    # One squared code value is added because the root has no gradient at zero.
    deviation = (opponents.var(dim=2).sum(0) + 1).sqrt()
    return deviation + 0.3 * (opponents.mean(dim=2).square().sum(0) + 1).sqrt()


def discriminator_loss(real: list[Tensor], generated: list[Tensor]) -> Tensor:
    """Hinge loss (Lim and Ye 2017) on the logits of each head; all heads have the same weight."""
    hinges = [F.relu(1 - a).mean() + F.relu(1 + b).mean() for a, b in zip(real, generated, strict=True)]
    return torch.stack(hinges).mean()


def generator_loss(generated: list[Tensor]) -> Tensor:
    """Negative mean logit for generated chroma; all heads have the same weight."""
    return -torch.stack([logits.mean() for logits in generated]).mean()
