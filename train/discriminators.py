"""The discriminators: conditional PatchGANs on chroma itself, or on features of the picture."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.color.condition import CHANNELS

spectral_norm = nn.utils.parametrizations.spectral_norm
"""Keeps a layer Lipschitz (Miyato et al. 2018), as the hinge loss needs it."""


class PatchDiscriminator(nn.Module):
    """A conditional PatchGAN (Isola et al. 2017): one logit for each 70x70 patch, on a grid of stride 8.

    0.7 M weights, 0.8 GMACs for one 256x256 picture at width 32.
    """

    def __init__(self, width: int = 32) -> None:
        """`width` is the number of channels of the first layer."""
        super().__init__()
        widths = [CHANNELS + 2, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            stride = 2 if index < 3 else 1
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, 1))]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, 1, 1)))

    def forward(self, condition: Tensor, levels: list[Tensor]) -> list[Tensor]:
        """Condition [N, 4, H, W], chroma [N, 2, H, W] as the only level -> logits [N, 1, H/8-2, W/8-2]."""
        (chroma,) = levels
        # Chroma is scaled to the range of luma; otherwise the discriminator would learn from luma alone.
        return [self.layers(torch.cat([condition, 2 * chroma], dim=1))]


class FeatureDiscriminator(nn.Module):
    """A conditional PatchGAN with a frozen feature extractor as its lower layers.

    After Projected GANs (Sauer et al. 2021): only light heads are trained, one on each level of the features
    of the picture, together with the condition. It knows things before it has learned about color.
    """

    def __init__(self, channels: Sequence[int], width: int = 64) -> None:
        """`channels` are the extractor's, one number for each level; `width` is that of the heads."""
        super().__init__()

        def conv(inputs: int, outputs: int, side: int) -> nn.Module:
            layer: nn.Module = spectral_norm(nn.Conv2d(inputs, outputs, side, padding=side // 2))
            return layer

        self.heads = nn.ModuleList(
            [
                nn.Sequential(
                    conv(count + CHANNELS, width, 1),
                    nn.LeakyReLU(0.2),
                    conv(width, width, 3),
                    nn.LeakyReLU(0.2),
                    conv(width, 1, 1),
                )
                for count in channels
            ]
        )

    def forward(self, condition: Tensor, levels: list[Tensor]) -> list[Tensor]:
        """Condition [N, 4, H, W] and levels [N, C, h, w] -> logits [N, 1, h, w] of each head."""
        logits = []
        for head, level in zip(self.heads, levels, strict=True):
            resized = F.interpolate(condition, level.shape[2:], mode="area")
            # Features of unit length are tiny in each channel; unscaled, the condition would dominate.
            logits.append(head(torch.cat([resized, level.shape[1] ** 0.5 * level], dim=1)))
        return logits
