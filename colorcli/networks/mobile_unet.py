"""The default generator: a MobileNetV2 encoder and a light decoder that classifies colors, then adds detail.

MACs are multiply-accumulate operations for one 256x256 picture.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.color.condition import CHANNELS
from colorcli.networks import color_bins
from colorcli.networks.base import Generator


class SameConv(nn.Conv2d):
    """3x3 convolution with TensorFlow's SAME padding: at stride 2 it pads right and bottom only."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=stride % 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride == (2, 2) else x)


class InvertedResidual(nn.Module):
    """The block of MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381): expand, filter depthwise, project."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, stride=stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class MobileEncoder(nn.Module):
    """MobileNetV2 1.0 without its classifier, batch norm folded into the convolutions. 2.2 M weights.

    Output: features at strides 2, 4, 8, 16 (16, 24, 32, 96 channels) and 32 (1280 channels).
    """

    STAGES = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    """Expansion, channels, number of blocks, first stride: table 2 of the paper."""
    SKIPS = (0, 2, 5, 12)
    """Indices of the last blocks at strides 2, 4, 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(CHANNELS, 32, stride=2)
        blocks, channels = [], 32
        for expansion, outputs, count, stride in self.STAGES:
            for index in range(count):
                blocks.append(
                    InvertedResidual(channels, outputs, stride=1 if index else stride, expansion=expansion)
                )
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(channels, 1280, 1)

    def forward(self, condition: Tensor) -> list[Tensor]:
        luma, known = condition[:, :1], condition[:, 1:]
        x = F.relu6(self.stem(torch.cat([2 * luma - 1, known], dim=1)))
        skips = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.SKIPS:
                skips.append(x)
        return [*skips, F.relu6(self.head(x))]

    @torch.no_grad()
    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Take ImageNet weights named conv00 ... conv51 in network order, for R'G'B' in [-1, 1].

        The stem's weights are summed over the three input channels, because a gray picture has R = G = B;
        its weights for hints start at zero.

        Raises:
            KeyError, RuntimeError: they are those of another network.
        """
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        for index, convolution in enumerate(convolutions):
            weight = weights[f"conv{index:02d}.weight"]
            if convolution is self.stem:
                weight = F.pad(weight.sum(1, keepdim=True), (0, 0, 0, 0, 0, CHANNELS - 1))
            convolution.weight.copy_(weight)
            assert convolution.bias is not None
            convolution.bias.copy_(weights[f"conv{index:02d}.bias"])


def conv_block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def upsample(x: Tensor) -> Tensor:
    """Bilinear, to twice the size."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class UpBlock(nn.Module):
    """Reduces channels, upsamples, concatenates the skip connection, and applies `depth` 3x3 convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int, *, depth: int) -> None:
        super().__init__()
        self.narrow = conv_block(inputs, outputs, 1)
        widths = [outputs + skip, *[outputs] * depth]
        self.mix = nn.Sequential(*[conv_block(before, after, 3) for before, after in pairwise(widths)])

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.mix(torch.cat([upsample(self.narrow(x)), skip], dim=1))


class MobileUNet(Generator):
    """The default generator. 3.5 M weights, 1.0 GMACs.

    At a quarter of the size it predicts a distribution over `color_bins`; chroma is its annealed mean (Zhang
    et al. 2016, arXiv:1603.08511, section 2.3). Detail is added at half the size, which is as fine as people
    see color.
    """

    multiple_of = 32
    TEMPERATURE = 0.5
    """Of the softmax. Below 1 the mean moves towards the likeliest colors: 1 is pale, 0 is blotchy."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MobileEncoder()
        self.bottleneck = conv_block(1280, 256, 1)
        self.whole = nn.Conv2d(256, 256, 1)
        self.decoder = nn.ModuleList(
            [UpBlock(256, 96, 160, depth=2), UpBlock(160, 32, 96, depth=2), UpBlock(96, 24, 48, depth=1)]
        )
        self.likelihood = nn.Linear(48, color_bins.COUNT)
        self.register_buffer("colors", color_bins.colors())
        self.refine = UpBlock(48, 16, 16, depth=1)
        self.detail = nn.Conv2d(16, 2, 3, padding=1)
        for residual in (self.whole, self.detail):  # both start by adding nothing
            nn.init.zeros_(residual.weight)
            nn.init.zeros_(residual.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def scale_chroma(self, gain: float) -> None:
        for tensor in (self.get_buffer("colors"), *self.detail.parameters()):
            tensor.mul_(gain)

    def predict(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        *skips, x = self.encoder(condition)
        x = self.bottleneck(x)
        x = x + self.whole(x.mean(dim=(2, 3), keepdim=True))
        for up in self.decoder:
            x = up(x, skips.pop())
        # Channels last, because runtimes compute a softmax fastest over the last axis.
        annealed = self.likelihood(x.permute(0, 2, 3, 1))
        coarse = torch.softmax(annealed, dim=-1) @ self.get_buffer("colors")
        chroma = upsample(coarse.permute(0, 3, 1, 2)) + self.detail(self.refine(x, skips.pop()))
        return upsample(chroma.clamp(-0.5, 0.5)), self.TEMPERATURE * annealed
