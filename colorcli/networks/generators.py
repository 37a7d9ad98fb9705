"""The networks: two generators and the discriminator.

Every generator maps the condition [N, 4, H, W] to chroma [N, 2, H, W] in (-0.5, 0.5); H and W are multiples
of its `multiple_of`. MACs are multiply-accumulates for one 256x256 picture.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from colorcli.color.condition import CHANNELS
from colorcli.errors import SetupError
from colorcli.networks import color_bins as bins


class Generator(nn.Module, ABC):
    multiple_of: int

    @abstractmethod
    def guess(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        """Chroma, and the logits over `bins.colors` [N, h, w, COUNT] that it came from, if there are any."""

    def forward(self, condition: Tensor) -> Tensor:
        return self.guess(condition)[0]

    @abstractmethod
    def scale_chroma(self, gain: float) -> None:
        """Make every color stronger by `gain`."""


class SameConv(nn.Conv2d):
    """3x3 convolution with TensorFlow's SAME padding: at stride 2 it pads right and bottom only."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=stride % 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride == (2, 2) else x)


class InvertedResidual(nn.Module):
    """MobileNetV2's block (Sandler et al. 2018): widen 1x1, filter depthwise 3x3, narrow 1x1."""

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

    Gives features at strides 2, 4, 8, 16 (16, 24, 32, 96 channels) and 32 (1280 channels).
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
    """Expansion, channels, blocks, first stride: table 2 of the paper."""
    SKIPS = (0, 2, 5, 12)
    """Blocks after which strides 2, 4, 8 and 16 are complete."""

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

    def load_imagenet(self, path: Path) -> None:
        """Start from ImageNet weights named conv00 ... conv51 in network order.

        The stem sums its three input channels, for a gray picture has R = G = B; hints start unheard.

        Raises:
            SetupError: the file is missing or holds other weights.
        """
        try:
            weights = load_file(path)
            convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
            for index, convolution in enumerate(convolutions):
                weight = weights[f"conv{index:02d}.weight"].float()
                if convolution is self.stem:
                    weight = F.pad(weight.sum(1, keepdim=True), (0, 0, 0, 0, 0, CHANNELS - 1))
                convolution.weight.data.copy_(weight)
                assert convolution.bias is not None
                convolution.bias.data.copy_(weights[f"conv{index:02d}.bias"])
        except (OSError, KeyError, RuntimeError) as error:
            raise SetupError(path, f"no MobileNetV2 weights ({error})", "check encoder_weights") from error


def mixing(inputs: int, outputs: int, side: int) -> nn.Sequential:
    """Convolution, batch norm and ReLU at one size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Up(nn.Module):
    """Twice the size, joined with the skip connection, mixed by 3x3 convolutions; narrowed while small."""

    def __init__(self, inputs: int, skip: int, outputs: int, *, depth: int) -> None:
        super().__init__()
        self.narrow = mixing(inputs, outputs, 1)
        widths = [outputs + skip, *[outputs] * depth]
        self.mix = nn.Sequential(*[mixing(before, after, 3) for before, after in pairwise(widths)])

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.mix(torch.cat([doubled(self.narrow(x)), skip], dim=1))


class MobileUNet(Generator):
    """The default: a MobileNetV2 encoder and a light decoder. 3.5 M weights, 1.0 GMACs.

    At a quarter of the size it says how likely each color is; chroma is the mean of the likeliest (annealed:
    Zhang et al. 2016, section 2.3). At half of it, the feature_extractor's own resolution for color, detail is added.
    """

    multiple_of = 32
    TEMPERATURE = 0.5
    """Below 1 the mean leans to the likeliest colors: 1 is pale, 0 is blotchy."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MobileEncoder()
        self.bottleneck = mixing(1280, 256, 1)
        self.whole = nn.Conv2d(256, 256, 1)
        self.decoder = nn.ModuleList(
            [Up(256, 96, 160, depth=2), Up(160, 32, 96, depth=2), Up(96, 24, 48, depth=1)]
        )
        self.likelihood = nn.Linear(48, bins.COUNT)
        self.register_buffer("colors", bins.colors())
        self.refine = Up(48, 16, 16, depth=1)
        self.detail = nn.Conv2d(16, 2, 3, padding=1)
        for new in (self.whole, self.detail):  # what they add has to earn its place
            nn.init.zeros_(new.weight)
            nn.init.zeros_(new.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def scale_chroma(self, gain: float) -> None:
        for tensor in (self.get_buffer("colors"), *self.detail.parameters()):
            tensor.mul_(gain)

    def guess(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        *skips, x = self.encoder(condition)
        x = self.bottleneck(x)
        x = x + self.whole(x.mean(dim=(2, 3), keepdim=True))
        for up in self.decoder:
            x = up(x, skips.pop())
        annealed = self.likelihood(x.permute(0, 2, 3, 1))  # runtimes are fast at a softmax over the last axis
        coarse = torch.softmax(annealed, dim=-1) @ self.get_buffer("colors")
        chroma = doubled(coarse.permute(0, 3, 1, 2)) + self.detail(self.refine(x, skips.pop()))
        return doubled(chroma.clamp(-0.5, 0.5)), self.TEMPERATURE * annealed


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

    def guess(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        skips = [condition]
        for index, layer in enumerate(self.down):
            skips.append(layer(F.leaky_relu(skips[-1], 0.2) if index else condition))
        x = self.up[0](F.relu(skips[-1]))
        for layer, skip in zip(self.up[1:], reversed(skips[1:-1]), strict=True):
            x = layer(F.relu(torch.cat([x, skip], dim=1)))
        return 0.5 * torch.tanh(x), None


GENERATORS: dict[str, Callable[[], Generator]] = {"mobile_unet": MobileUNet, "pix2pix_unet": Pix2PixUNet}


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
        self.recognition_model = nn.Sequential(
            *layers, nn.utils.parametrizations.spectral_norm(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        )

    def forward(self, condition: Tensor, seen: list[Tensor]) -> list[Tensor]:
        """Condition [N, 4, H, W] and chroma [N, 2, H, W] alone -> verdicts [N, 1, H / 8 - 2, W / 8 - 2]."""
        (chroma,) = seen
        # Chroma is scaled to the size of luma, or the discriminator learns to look at luma alone.
        return [self.recognition_model(torch.cat([condition, 2 * chroma], dim=1))]


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
