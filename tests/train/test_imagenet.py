"""ImageNet weights for the encoder: torchvision's converted, and what is said when there are none."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorcli.errors import SetupError
from colorcli.networks.mobile_unet import MobileEncoder
from colorcli.train import imagenet


class Original(nn.Module):
    """MobileNetV2 as torchvision builds it: padded on all sides, with batch norm, in network order."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for module in MobileEncoder().modules():
            if isinstance(module, nn.Conv2d):
                inputs = module.in_channels if self.layers else 3
                self.layers.append(
                    nn.Conv2d(
                        inputs, module.out_channels, module.kernel_size, module.stride,
                        module.kernel_size[0] // 2, groups=module.groups, bias=False,
                    )
                )  # fmt: skip
                self.layers.append(nn.BatchNorm2d(module.out_channels))
        for norm in self.layers[1::2]:
            for name, low, high in (
                ("weight", 0.5, 1.5),
                ("bias", -0.5, 0.5),
                ("running_mean", -0.5, 0.5),
                ("running_var", 0.5, 2),
            ):
                getattr(norm, name).data.uniform_(low, high)

    def stem(self, rgb: Tensor) -> Tensor:
        """R'G'B' in [0, 1] -> the first layer's output."""
        mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (imagenet.MEAN, imagenet.DEVIATION))
        return F.relu6(self.layers[1](self.layers[0]((rgb - mean) / deviation)))


def test_the_stem_sees_a_gray_picture_as_torchvision_s_does() -> None:
    torch.manual_seed(0)
    original, encoder = Original().eval(), MobileEncoder()
    encoder.load_imagenet(imagenet.from_torchvision(original.state_dict()))
    luma = torch.rand(1, 1, 32, 32)
    condition = torch.cat([luma, torch.zeros(1, 3, 32, 32)], dim=1)
    with torch.no_grad():
        # What ours sees is one pixel further right and down.
        expected = original.stem(luma.roll((-1, -1), (2, 3)).expand(-1, 3, -1, -1))
        found = F.relu6(encoder.stem(torch.cat([2 * condition[:, :1] - 1, condition[:, 1:]], dim=1)))
    assert torch.allclose(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-4)


def test_every_batch_norm_is_folded() -> None:
    torch.manual_seed(0)
    original, encoder = Original().eval(), MobileEncoder()
    encoder.load_imagenet(imagenet.from_torchvision(original.state_dict()))
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    pairs = zip(convolutions[1:], original.layers[2::2], original.layers[3::2], strict=True)
    for convolution, before, norm in pairs:
        x = torch.rand(1, before.in_channels, 5, 5)
        with torch.no_grad():
            found = F.conv2d(
                x, convolution.weight, convolution.bias, padding=before.padding, groups=before.groups
            )
            stride_one = F.conv2d(x, before.weight, padding=before.padding, groups=before.groups)
            assert torch.allclose(found, norm(stride_one), atol=1e-4)


def test_other_weights_and_missing_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r'none\.safetensors.*"mobilenet_v2"'):
        imagenet.encoder_weights(str(tmp_path / "none.safetensors"))
    with pytest.raises(KeyError):
        MobileEncoder().load_imagenet({"conv00.weight": torch.zeros(32, 3, 3, 3)})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("no network"), "cannot be downloaded.*copy "),
        (ModuleNotFoundError("", name="torchvision"), "torchvision is not installed.*pip install"),
        (RuntimeError("operator torchvision::nms does not exist"), "does not load"),
    ],
)
def test_weights_that_cannot_be_had_are_one_line_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    class Models:
        def __getattr__(self, _: str) -> Any:
            raise error

    monkeypatch.setitem(__import__("sys").modules, "torchvision", Models())
    monkeypatch.setitem(__import__("sys").modules, "torchvision.models", Models())
    with pytest.raises(SetupError, match=message) as caught:
        imagenet.encoder_weights(imagenet.TORCHVISION)
    assert "\n" not in str(caught.value)
