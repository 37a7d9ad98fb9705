"""The generator of pix2pix (Isola et al. 2017, arXiv:1611.07004), as a baseline."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.color.condition import CHANNELS
from colorcli.networks.base import Generator


class Pix2PixUNet(Generator):
    """The U-Net of the original recipe (Isola et al. 2017, unet_256). 54.4 M weights, 6.0 GMACs.

    Eight halvings with 4x4 convolutions down to 1x1, skips at each; `width` is the first layer's channels.
    """

    multiple_of = 256

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width * factor for factor in (1, 2, 4, 8, 8, 8, 8, 8)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for index, (inputs, outputs) in enumerate(zip([CHANNELS, *widths], widths, strict=False)):
            plain = index in (0, len(widths) - 1)  # no norm at the picture, nor where one value is left
            norm = nn.Identity() if plain else nn.BatchNorm2d(outputs)
            self.down.append(nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), norm))
        for index, outputs in enumerate([*reversed(widths[:-1]), 2]):
            inputs = widths[-1] if index == 0 else 2 * widths[-1 - index]
            last = index == len(widths) - 1
            norm = nn.Identity() if last else nn.BatchNorm2d(outputs)
            drop = nn.Dropout(0.5) if index in (1, 2, 3) else nn.Identity()
            self.up.append(nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), norm, drop))

    @torch.no_grad()
    def scale_chroma(self, gain: float) -> None:
        for parameter in self.up[-1].parameters():  # while chroma is small, where tanh is a straight line
            parameter.mul_(gain)

    def predict(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        skips = [condition]
        for index, layer in enumerate(self.down):
            skips.append(layer(F.leaky_relu(skips[-1], 0.2) if index else condition))
        x = self.up[0](F.relu(skips[-1]))
        for layer, skip in zip(self.up[1:], reversed(skips[1:-1]), strict=True):
            x = layer(F.relu(torch.cat([x, skip], dim=1)))
        return 0.5 * torch.tanh(x), None
