"""SqueezeNet 1.1 as a frozen feature extractor, without a classifier."""

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from colorcli.errors import SetupError
from colorcli.train.features import FeatureExtractor, Features, unit_length


class Fire(nn.Module):
    """SqueezeNet's block (Iandola et al. 2016): squeeze by 1x1, expand by 1x1 and 3x3 in parallel."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze1x1(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


class SqueezeNet(FeatureExtractor):
    """Feature maps of five Fire modules, at strides 4, 8, 16, 16 and 16. 0.35 GMACs at 224x224."""

    FIRES: ClassVar = {2: (64, 16, 64), 3: (128, 16, 64), 4: (128, 32, 128), 5: (256, 32, 128),
             6: (256, 48, 192), 7: (384, 48, 192), 8: (384, 64, 256), 9: (512, 64, 256)}  # fmt: skip
    """Fire module -> input, squeezed and expanded channels."""
    POOL_AFTER = (1, 3, 5)
    OUTPUTS: ClassVar = {3: 128, 5: 256, 6: 384, 8: 512, 9: 512}
    """Fire modules whose output is a feature map -> its channels."""

    channels = tuple(OUTPUTS.values())

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
                weights, f"not SqueezeNet weights ({error})", "check feature_extractor"
            ) from error
        self.requires_grad_(False)
        self.register_buffer(
            "mean", torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, rgb: Tensor) -> Features:
        x = F.relu(self.conv1(255 * rgb.flip(1) - self.get_buffer("mean")))
        x = F.max_pool2d(x, 3, 2)
        maps = []
        for index in self.FIRES:
            x = self.get_submodule(f"fire{index}")(x)
            if index in self.OUTPUTS:
                maps.append(unit_length(x))
            if index in self.POOL_AFTER:
                x = F.max_pool2d(x, 3, 2)
        return Features(maps)
