"""Second opinions on a picture, lest the generator learn what one network alone is taken in by."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.train.efficientnet import EfficientNet
from colorcli.train.features import Features

EYES = ("efficientnet-lite1", "efficientnet-lite2")
LEAST_VIEW = 0.75
"""Shortest side of a view, as a share of the crop's."""
VIEW = 176
"""Side that a view is brought to, in pixels."""


class AuxiliaryExtractors(nn.Module):
    """Other eyes, asked in turn about random views of half of each batch."""

    def __init__(self) -> None:
        """Raises SetupError if the package of one is missing."""
        super().__init__()
        self.eyes = nn.ModuleList([EfficientNet(name) for name in EYES])

    def forward(
        self, made: Tensor, real: Tensor, *, turn: int, seed: tuple[int, ...]
    ) -> tuple[Features, Features]:
        """What is seen in R'G'B' [N, 3, S, S]. `turn` chooses feature_extractor and half of the batch, `seed` the view."""
        feature_extractor = self.eyes[turn % len(self.eyes)]
        half = slice(turn // len(self.eyes) % min(2, len(made)), None, 2)
        view = _random_square(made.shape[-1], seed)
        with torch.no_grad():
            truth = feature_extractor(_through(real[half], view))
        return feature_extractor(_through(made[half], view)), truth


def _random_square(side: int, seed: tuple[int, ...]) -> tuple[slice, slice]:
    rng = np.random.default_rng(seed)
    length = int(rng.integers(round(LEAST_VIEW * side), side, endpoint=True))
    top, left = (int(start) for start in rng.integers(0, side - length, size=2, endpoint=True))
    return slice(top, top + length), slice(left, left + length)


def _through(rgb: Tensor, view: tuple[slice, slice]) -> Tensor:
    seen = F.interpolate(rgb[..., view[0], view[1]], (VIEW, VIEW), mode="bilinear", align_corners=False)
    return seen.contiguous(memory_format=torch.channels_last)
