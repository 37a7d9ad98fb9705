"""What training asks for: chroma near the truth, pictures that look alike, a discriminator convinced."""

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from colorcli.core.color import BT601
from colorcli.core.errors import SetupError


def rgb_from_ycbcr(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma [N, 1, H, W], chroma [N, 2, H, W] (BT.601) -> R'G'B' [N, 3, H, W], not clipped."""
    blue = (2 - 2 * BT601.kb) * chroma[:, :1]
    red = (2 - 2 * BT601.kr) * chroma[:, 1:]
    green = -(BT601.kr * red + BT601.kb * blue) / BT601.kg
    return luma + torch.cat([red, green, blue], dim=1)


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """Smooth L1 between chroma planes; quadratic below 0.02, so that tiny errors in grey do not dominate."""
    return F.smooth_l1_loss(made, real, beta=0.02)


class Fire(nn.Module):
    """SqueezeNet's block (Iandola et al. 2016): narrow 1x1, then widen by 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze1x1(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


class PerceptualLoss(nn.Module):
    """Distance between SqueezeNet 1.1 features of two R'G'B' pictures, unit-normalised per position.

    Five layers with equal weight: LPIPS (Zhang et al. 2018) without its learned weights.
    """

    FIRES: ClassVar = {2: (64, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128),
             6: (256, 48, 192), 7: (384, 48, 192), 8: (384, 64, 256), 9: (512, 64, 256)}  # fmt: skip
    """Fire module -> input, squeezed and expanded channels."""
    POOL_AFTER = (1, 3, 5)
    TAPS = (3, 5, 6, 8, 9)

    def __init__(self, weights: Path) -> None:
        """Raises SetupError if the file is missing or holds other weights."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 2)
        for index, (inputs, squeezed, expanded) in self.FIRES.items():
            self.add_module(f"fire{index}", Fire(inputs, squeezed, expanded))
        try:
            self.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
        except (OSError, RuntimeError) as error:
            raise SetupError(
                weights, f"no SqueezeNet weights ({error})", "check perceptual_weights"
            ) from error
        self.requires_grad_(False)
        self.register_buffer(
            "mean", torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1), persistent=False
        )

    def features(self, rgb: Tensor) -> list[Tensor]:
        """R'G'B' [N, 3, H, W] in [0, 1] -> unit-normalised features of each tap."""
        x = F.relu(self.conv1(255 * rgb.flip(1) - self.get_buffer("mean")))
        x = F.max_pool2d(x, 3, 2)
        taps = []
        for index in self.FIRES:
            x = self.get_submodule(f"fire{index}")(x)
            if index in self.TAPS:
                taps.append(F.normalize(x, dim=1, eps=1e-6))
            if index in self.POOL_AFTER:
                x = F.max_pool2d(x, 3, 2)
        return taps

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            targets = self.features(real)
        distances = [
            (a - b).square().sum(1).mean() for a, b in zip(self.features(made), targets, strict=True)
        ]
        return torch.stack(distances).mean()


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Hinge loss (Lim and Ye 2017) over verdicts on real and made chroma."""
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


def generator_loss(made: Tensor) -> Tensor:
    return -made.mean()
