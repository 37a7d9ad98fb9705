"""Auxiliary feature extractors: they keep the generator from learning what deceives a single network."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from colorcli.train.efficientnet import EfficientNet
from colorcli.train.features import Features

NETWORKS = ("efficientnet-lite1", "efficientnet-lite2")
TURNS = 2 * len(NETWORKS)
"""Steps until each network has been shown each half of a batch."""
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
        self, generated: Tensor, real: Tensor, *, turn: int, view: Tensor
    ) -> tuple[Features, Features]:
        """R'G'B' [N, 3, S, S] twice -> the features of one half of the batch, generated and real.

        `turn` (less than `TURNS`) selects the network and the half; `view` is from `random_view`.
        """
        network = self.networks[turn % len(self.networks)]
        half = slice(turn // len(self.networks) % min(2, len(generated)), None, 2)
        with torch.no_grad():
            target = network(_resized(real[half], view))
        return network(_resized(generated[half], view)), target


def random_view(seed: tuple[int, ...]) -> NDArray[np.float64]:
    """A square part of a crop, [3]: its share of the crop's side, and x and y of its middle in [-1, 1]."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(SHORTEST_VIEW, 1)
    return np.array([share, *rng.uniform(share - 1, 1 - share, 2)])


def _resized(rgb: Tensor, view: Tensor) -> Tensor:
    """The view of R'G'B' [N, 3, S, S]; its shape does not depend on the view, so that it can be captured."""
    share, x, y = view.unbind()
    place = share * ((2 * torch.arange(VIEW_SIZE, device=rgb.device) + 1) / VIEW_SIZE - 1)
    # Not by affine_grid, which autocast would round to bfloat16.
    grid = torch.stack(torch.meshgrid(place + x, place + y, indexing="xy"), dim=-1)
    resized = F.grid_sample(
        rgb, grid.expand(len(rgb), -1, -1, -1), padding_mode="border", align_corners=False
    )
    return resized.contiguous(memory_format=torch.channels_last)
