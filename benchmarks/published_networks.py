"""The networks of other projects at their published sizes, with random weights, which change no speed.

Written anew from the published code of richzhang/colorization (`colorizers/`), jantic/DeOldify
(`deoldify/unet.py`, fastai 1) and, by Spandrel, piddnad/DDColor. Spectral norm is left out, because
it only changes weights.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def convolutions(*channels: int, dilation: int = 1, stride: int = 1, norm: bool = True) -> list[nn.Module]:
    """3x3 convolutions with ReLU; the last one has the stride and may be followed by batch norm."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(channels), 2):
        step = stride if index == len(channels) else 1
        layers += [nn.Conv2d(before, after, 3, step, dilation, dilation), nn.ReLU()]
    return [*layers, nn.BatchNorm2d(channels[-1])] if norm else layers


class Eccv16(nn.Module):
    """L* [N, 1, H, W] -> a*, b* [N, 2, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolutions(1, 64, 64, stride=2),
            *convolutions(64, 128, 128, stride=2),
            *convolutions(128, 256, 256, 256, stride=2),
            *convolutions(256, 512, 512, 512),
            *convolutions(512, 512, 512, 512, dilation=2),
            *convolutions(512, 512, 512, 512, dilation=2),
            *convolutions(512, 512, 512, 512),
            nn.ConvTranspose2d(512, 256, 4, 2, 1),
            nn.ReLU(),
            *convolutions(256, 256, 256, norm=False),
            nn.Conv2d(256, 313, 1),
            nn.Softmax(1),
            nn.Conv2d(313, 2, 1, bias=False),
            nn.Upsample(scale_factor=4, mode="bilinear"),
        )

    def forward(self, lightness: Tensor) -> Tensor:
        return self.body((lightness - 50) / 100) * 110


class Siggraph17(nn.Module):
    """L* [N, 1, H, W], and a*, b* and mask of hints -> a*, b* [N, 2, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(*convolutions(*channels))
            for channels in [(4, 64, 64), (64, 128, 128), (128, 256, 256, 256)]
        )
        self.middle = nn.Sequential(
            *convolutions(256, 512, 512, 512),
            *convolutions(512, 512, 512, 512, dilation=2),
            *convolutions(512, 512, 512, 512, dilation=2),
            *convolutions(512, 512, 512, 512),
        )
        sizes = [(512, 256), (256, 128), (128, 128)]
        self.up = nn.ModuleList(nn.ConvTranspose2d(*size, 4, 2, 1) for size in sizes)
        self.skip = nn.ModuleList(
            nn.Conv2d(*size, 3, padding=1) for size in [(256, 256), (128, 128), (64, 128)]
        )
        self.after = nn.ModuleList(
            [
                nn.Sequential(nn.ReLU(), *convolutions(256, 256, 256)),
                nn.Sequential(nn.ReLU(), *convolutions(128, 128)),
                nn.Sequential(nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.LeakyReLU(0.2)),
            ]
        )
        self.output = nn.Sequential(nn.Conv2d(128, 2, 1), nn.Tanh())

    def forward(self, lightness: Tensor, ab: Tensor, mask: Tensor) -> Tensor:
        value = torch.cat([(lightness - 50) / 100, ab / 110, mask], 1)
        skips: list[Tensor] = []
        for block in self.down:
            skips.insert(0, block(value))
            value = skips[0][..., ::2, ::2]
        value = self.middle(value)
        for up, skip, after, kept in zip(self.up, self.skip, self.after, skips, strict=True):
            value = after(up(value) + skip(kept))
        return self.output(value) * 110


class WithoutHints(nn.Module):
    """`Siggraph17` with empty hints: the signature of `Eccv16`."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Siggraph17()

    def forward(self, lightness: Tensor) -> Tensor:
        none = lightness * 0
        return self.network(lightness, torch.cat([none, none], 1), none)


class Residual(nn.Module):
    """x + f(x), with ReLU on request."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, relu: bool = True) -> None:
        super().__init__()
        self.body, self.shortcut, self.relu = body, shortcut or nn.Identity(), relu

    def forward(self, value: Tensor) -> Tensor:
        total = self.shortcut(value) + self.body(value)
        return torch.relu(total) if self.relu else total


def normed(before: int, after: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, size, stride, size // 2, bias=False), nn.BatchNorm2d(after)]


def resnet_stage(before: int, width: int, blocks: int, stride: int, bottleneck: bool) -> nn.Sequential:
    """A stage of ResNet-34 or ResNet-101 (torchvision's `layer1` to `layer4`)."""
    after = 4 * width if bottleneck else width
    layers: list[nn.Module] = []
    for index in range(blocks):
        step, source = (stride, before) if index == 0 else (1, after)
        if bottleneck:
            body = [*normed(source, width, 1), nn.ReLU(), *normed(width, width, 3, step), nn.ReLU()]
            body += normed(width, after, 1)
        else:
            body = [*normed(source, width, 3, step), nn.ReLU(), *normed(width, width, 3)]
        shortcut = nn.Sequential(*normed(source, after, 1, step)) if (step, source) != (1, after) else None
        layers.append(Residual(nn.Sequential(*body), shortcut))
    return nn.Sequential(*layers)


class SelfAttention(nn.Module):
    """As fastai has it, after Zhang et al., SAGAN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv1d(channels, channels // 8, 1, bias=False) for _ in range(2))
        self.value = nn.Conv1d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.tensor([0.5]))

    def forward(self, value: Tensor) -> Tensor:
        flat = value.flatten(2)
        weights = torch.softmax(self.query(flat).transpose(1, 2) @ self.key(flat), 1)
        return (self.gamma * (self.value(flat) @ weights) + flat).reshape(value.shape)


def activated(before: int, after: int, attention: bool = False) -> nn.Sequential:
    """3x3 convolution, ReLU, batch norm."""
    layers = [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, *([SelfAttention(after)] if attention else []))


class UnetBlock(nn.Module):
    """Doubles the size by pixel shuffle with a blur, and joins the encoder's features of that size."""

    def __init__(self, before: int, up: int, skip: int, after: Sequence[int], attention: bool) -> None:
        super().__init__()
        self.up = nn.Sequential(
            *normed(before, 4 * up, 1),
            nn.ReLU(),
            nn.PixelShuffle(2),
            nn.ReplicationPad2d((1, 0, 1, 0)),
            nn.AvgPool2d(2, 1),
        )
        self.norm = nn.BatchNorm2d(skip)
        channels = [up + skip, *after]
        last = len(after) - 1
        self.convolutions = nn.Sequential(
            *(activated(*pair, attention and index == last) for index, pair in enumerate(pairwise(channels)))
        )

    def forward(self, value: Tensor, skip: Tensor) -> Tensor:
        return self.convolutions(torch.relu(torch.cat([self.up(value), self.norm(skip)], 1)))


class DeOldify(nn.Module):
    """R'G'B' [N, 3, H, W] in 0-255 -> the same, as published ONNX files have it.

    `stable`: the wide U-Net on ResNet-101; else artistic: the deep one on ResNet-34.
    """

    def __init__(self, stable: bool = False) -> None:
        super().__init__()
        blocks, factor = ((3, 4, 23, 3), 4) if stable else ((3, 4, 6, 3), 1)
        self.stem = nn.Sequential(*normed(3, 64, 7, 2), nn.ReLU())
        widths = [(64, 64, 1), (64 * factor, 128, 2), (128 * factor, 256, 2), (256 * factor, 512, 2)]
        self.stages = nn.ModuleList(
            resnet_stage(before, width, count, stride, stable)
            for (before, width, stride), count in zip(widths, blocks, strict=True)
        )
        channels = 512 * factor
        self.middle = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            activated(channels, 2 * channels),
            activated(2 * channels, channels),
        )
        self.blocks = nn.ModuleList()
        for index, skip in enumerate((256 * factor, 128 * factor, 64 * factor, 64)):
            if stable:
                up = 256 if index == 3 else 512
                after: list[int] = [up]
            else:
                up = channels // 2
                total = up + skip
                after = 2 * [int((total // 2 if index == 3 else total) * 1.5)]
            self.blocks.append(UnetBlock(channels, up, skip, after, attention=index == 1))
            channels = after[-1]
        self.enlarge = nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.ReLU(), nn.PixelShuffle(2))
        channels += 3
        layers = [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
        self.final = nn.Sequential(Residual(nn.Sequential(*layers, *layers), relu=False))
        self.final.append(nn.Conv2d(channels, 3, 1))
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, picture: Tensor) -> Tensor:
        source = (picture / 255 - self.mean) / self.deviation
        features = [self.stem(source)]
        value = nn.functional.max_pool2d(features[0], 3, 2, 1)
        for stage in self.stages:
            value = stage(value)
            features.append(value)
        value = self.middle(features.pop())
        for block in self.blocks:
            value = block(value, features.pop())
        value = self.final(torch.cat([self.enlarge(value), source], 1))
        return (((6 * torch.sigmoid(value) - 3) * self.deviation + self.mean) * 255).clamp(0, 255)


def ddcolor(encoder: str) -> nn.Module:
    """DDColor by `scripts/export_onnx.py`'s settings; its weights are published for both encoders.

    Its random weights are scaled so that a* and b* reach about 60.
    """
    from spandrel_extra_arches.architectures.DDColor import DDColor

    network = DDColor(
        encoder_name=encoder,
        decoder_name="MultiScaleColorDecoder",
        input_size=(512, 512),
        num_output_channels=2,
        last_norm="Spectral",
        num_queries=100,
    )
    sample = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    last = network.decoder.color_decoder.color_embed.layers[-1]
    with torch.no_grad():
        network.train()(sample)  # spectral norm measures the weights in training only
        factor = 60 / network.eval()(sample).abs().max()
        last.weight *= factor
        last.bias *= factor
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, list[int]]] = {
    "eccv16": (Eccv16, 256, [1]),
    "siggraph17": (WithoutHints, 256, [1]),
    "siggraph17-hints": (Siggraph17, 256, [1, 2, 1]),
    "deoldify-artistic": (DeOldify, 256, [3]),
    "deoldify-stable": (lambda: DeOldify(stable=True), 256, [3]),
    "ddcolor-tiny": (lambda: ddcolor("convnext-t"), 512, [3]),
    "ddcolor-large": (lambda: ddcolor("convnext-l"), 512, [3]),
}
"""Name -> constructor, side of the squares in published files, channels of the inputs."""
