"""What training looks with: a frozen network that knows things. The recognition_model of `eval` is another one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Features:
    """What an feature_extractor sees in N pictures."""

    taps: list[Tensor]
    """Features [N, C, h, w] of several depths."""
    whole: Tensor | None = None
    """[N, D], what the feature_extractor recognizes a picture by, if it recognizes things at all."""
    opinion: Tensor | None = None
    """[N, K], log-likelihoods of what is in the picture."""

    @property
    def features(self) -> list[Tensor]:
        """What a discriminator judges: the taps, then the whole as [N, D, 1, 1] of unit length."""
        if self.whole is None:
            return self.taps
        return [*self.taps, F.normalize(self.whole, dim=1)[..., None, None]]


class FeatureExtractor(nn.Module, ABC):
    """R'G'B' [N, 3, H, W] in [0, 1] -> what is seen, each position of each tap of unit length."""

    channels: tuple[int, ...]
    """Of each of the features."""

    @abstractmethod
    def forward(self, rgb: Tensor) -> Features: ...


def unit(features: Tensor) -> Tensor:
    """Each position of [N, C, h, w] at length one."""
    return F.normalize(features.float(), dim=1, eps=1e-6)
