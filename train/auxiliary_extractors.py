"""Auxiliary feature extractors: they keep the generator from learning what deceives a single network."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.train.efficientnet import EfficientNet
from colorcli.train.features import Features

NETWORKS = ("efficientnet-lite1", "efficientnet-lite2")
SHORTEST_VIEW = 0.75
"""Smallest side of a view, as a share of the crop's side."""
VIEW_SIZE = 176
"""Side in pixels to which a view is resized."""


class AuxiliaryExtractors(nn.Module):
    """Two more EfficientNets, used in turn on random views of half of each batch."""

    def __init__(self) -> None:
        """Raises SetupError if a network's package is missing."""
        super().__init__()
        self.networks = nn.ModuleList([EfficientNet(name) for name in NETWORKS])

    def forward(
        self, generated: Tensor, real: Tensor, *, turn: int, seed: tuple[int, ...]
    ) -> tuple[Features, Features]:
        """R'G'B' [N, 3, S, S] twice -> the features of one half of the batch, generated and real.

        `turn` selects the network and the half; `seed` the view.
        """
        network = self.networks[turn % len(self.networks)]
        half = slice(turn // len(self.networks) % min(2, len(generated)), None, 2)
        view = _random_square(generated.shape[-1], seed)
        with torch.no_grad():
            target = network(_resized(real[half], view))
        return network(_resized(generated[half], view)), target


def _random_square(side: int, seed: tuple[int, ...]) -> tuple[slice, slice]:
    rng = np.random.default_rng(seed)
    length = int(rng.integers(round(SHORTEST_VIEW * side), side, endpoint=True))
    top, left = (int(start) for start in rng.integers(0, side - length, size=2, endpoint=True))
    return slice(top, top + length), slice(left, left + length)


def _resized(rgb: Tensor, view: tuple[slice, slice]) -> Tensor:
    square = rgb[..., view[0], view[1]]
    resized = F.interpolate(square, (VIEW_SIZE, VIEW_SIZE), mode="bilinear", align_corners=False)
    return resized.contiguous(memory_format=torch.channels_last)
