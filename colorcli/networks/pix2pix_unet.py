"""The generator of pix2pix (Isola et al. 2017, arXiv:1611.07004), as a baseline."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.color.condition import CHANNELS
from colorcli.networks.base import Generator


class Pix2PixUNet(Generator):
    """The `unet_256` of the paper. 54.4 M weights, 6.0 GMACs for one 256x256 picture.

    Eight 4x4 convolutions of stride 2 down to 1x1, and a skip connection at each size.
    """

    multiple_of = 256

    def __init__(self, width: int = 64) -> None:
        """`width`: channels of the first layer."""
        super().__init__()
        widths = [width * factor for factor in (1, 2, 4, 8, 8, 8, 8, 8)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for index, (inputs, outputs) in enumerate(zip([CHANNELS, *widths], widths, strict=False)):
            unnormalized = index in (0, len(widths) - 1)  # at the input, and at 1x1, which has no variance
            norm = nn.Identity() if unnormalized else nn.BatchNorm2d(outputs)
            self.down.append(nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), norm))
        for index, outputs in enumerate([*reversed(widths[:-1]), 2]):
            inputs = widths[-1] if index == 0 else 2 * widths[-1 - index]
            last = index == len(widths) - 1
            norm = nn.Identity() if last else nn.BatchNorm2d(outputs)
            drop = nn.Dropout(0.5) if index in (1, 2, 3) else nn.Identity()
            self.up.append(nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), norm, drop))

    @torch.no_grad()
    def scale_chroma(self, gain: float) -> None:
        for parameter in self.up[-1].parameters():  # exact where chroma is small and tanh linear
            parameter.mul_(gain)

    def predict(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        skips = [condition]
        for index, layer in enumerate(self.down):
            skips.append(layer(F.leaky_relu(skips[-1], 0.2) if index else condition))
        x = self.up[0](F.relu(skips[-1]))
        for layer, skip in zip(self.up[1:], reversed(skips[1:-1]), strict=True):
            x = layer(F.relu(torch.cat([x, skip], dim=1)))
        return 0.5 * torch.tanh(x), None
