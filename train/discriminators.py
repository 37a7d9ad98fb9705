"""The discriminators: conditional PatchGANs that judge chroma together with its condition."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.color.condition import CHANNELS


class PatchDiscriminator(nn.Module):
    """A conditional PatchGAN: one verdict (a logit) for each 70x70 patch, on a grid of stride 8.

    Input: the condition (4 channels) beside chroma (2), so that it judges the pair, not the colors alone.
    Spectral norm keeps it Lipschitz (Miyato et al. 2018), as the hinge loss wants.
    0.7 M weights, 0.8 GMACs at width 32.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [CHANNELS + 2, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            stride = 2 if index < 3 else 1
            layers += [nn.utils.parametrizations.spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, 1))]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(
            *layers, nn.utils.parametrizations.spectral_norm(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        )

    def forward(self, condition: Tensor, seen: list[Tensor]) -> list[Tensor]:
        """Condition [N, 4, H, W] and chroma [N, 2, H, W] alone -> verdicts [N, 1, H / 8 - 2, W / 8 - 2]."""
        (chroma,) = seen
        # Chroma is scaled to the size of luma, or the discriminator learns to look at luma alone.
        return [self.layers(torch.cat([condition, 2 * chroma], dim=1))]


class FeatureDiscriminator(nn.Module):
    """A conditional PatchGAN whose first half is a frozen feature_extractor, which knows things before it learns colors.

    After Projected GANs (Sauer et al. 2021): only light heads learn, one on each scale of frozen features of
    the picture made of condition and chroma, beside the condition itself.
    """

    def __init__(self, channels: Sequence[int], width: int = 64) -> None:
        """`channels` are those of the features that it is given."""
        super().__init__()

        def conv(inputs: int, outputs: int, side: int) -> nn.Module:
            layer = nn.Conv2d(inputs, outputs, side, padding=side // 2)
            return nn.utils.parametrizations.spectral_norm(layer)

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

    def forward(self, condition: Tensor, seen: list[Tensor]) -> list[Tensor]:
        """Condition [N, 4, H, W] and an feature_extractor's features -> verdicts [N, 1, h, w] of each head."""
        verdicts = []
        for head, tap in zip(self.heads, seen, strict=True):
            around = F.interpolate(condition, tap.shape[2:], mode="area")
            # Of unit length, features are tiny in each channel: the condition would be all that is seen.
            both = torch.cat([around, tap.shape[1] ** 0.5 * tap], dim=1)
            verdicts.append(head(both))
        return verdicts
