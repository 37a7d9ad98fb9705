"""Frozen networks whose features the perceptual loss compares and the discriminator reads.

`eval` measures with another network, so that no figure is its own training loss
(`evaluation.recognition.RecognitionModel`).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Features:
    """What a feature extractor computes for N pictures."""

    maps: list[Tensor]
    """Feature maps [N, C, h, w] of several depths, of unit length at each position."""
    embedding: Tensor | None = None
    """[N, D], the input of the classifier; None for an extractor without one."""
    log_probs: Tensor | None = None
    """[N, K], log-probabilities of the classes; None for an extractor without a classifier."""

    @property
    def levels(self) -> list[Tensor]:
        """The discriminator's input: the maps, then the embedding as [N, D, 1, 1] of unit length."""
        if self.embedding is None:
            return self.maps
        return [*self.maps, F.normalize(self.embedding, dim=1)[..., None, None]]


class FeatureExtractor(nn.Module, ABC):
    """Maps R'G'B' [N, 3, H, W] in [0, 1] to features."""

    channels: tuple[int, ...]
    """Number of channels of each of the levels."""

    @abstractmethod
    def forward(self, rgb: Tensor) -> Features: ...


def unit_length(features: Tensor) -> Tensor:
    """[N, C, h, w] with each position scaled to length one."""
    return F.normalize(features.float(), dim=1, eps=1e-6)
