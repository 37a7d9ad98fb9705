"""A lesson in things beside the one in colours: the generator's features must tell what an eye sees.

Joint training with recognition makes better colours (Iizuka et al. 2016, "Let there be Color!", section 3.3).
Nobody labelled anything here: what the eye sees in the original, place by place and as a whole, is to be read
from what the generator makes of the grey picture (distillation: Hinton et al. 2015).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.train.eye import Sight, unit
from colorcli.train.losses import divergence

PLACES = 2.0
"""Weight of what is seen place by place: its gradient is a quarter of the divergence's."""


class Readout(nn.Module):
    """Linear in the generator's hidden features; left behind when training is over."""

    def __init__(self, hidden: tuple[int, ...], taps: tuple[int, ...], names: int) -> None:
        """Channels of the hidden features and of the eye's deepest taps; how many names the eye knows."""
        super().__init__()
        pairs = zip(hidden, taps, strict=True)
        self.places = nn.ModuleList([nn.Conv2d(inputs, outputs, 1) for inputs, outputs in pairs])
        self.name = nn.Linear(hidden[-1], names)

    def forward(self, hidden: tuple[Tensor, ...], truth: Sight) -> Tensor:
        """Hidden features [N, C, h, w], deepest last, and what the eye sees in the originals -> the loss."""
        assert truth.opinion is not None
        opinion = F.log_softmax(self.name(hidden[-1].mean(dim=(2, 3))), dim=1)
        taps = truth.taps[-len(hidden) :]
        distances = [
            (unit(place(features)) - tap).square().sum(1).mean()
            for place, features, tap in zip(self.places, hidden, taps, strict=True)
        ]
        return divergence(opinion, truth.opinion).mean() + PLACES * torch.stack(distances).sum()
