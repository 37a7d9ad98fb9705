from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from colorcli.core import color
from colorcli.core.errors import SetupError
from colorcli.train import losses


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory: pytest.TempPathFactory) -> losses.PerceptualLoss:
    """The loss with random weights."""
    torch.manual_seed(0)
    shapes = {"conv1": (64, 3, 3)}
    for index, (inputs, squeezed, expanded) in losses.PerceptualLoss.FIRES.items():
        shapes[f"fire{index}.squeeze1x1"] = (squeezed, inputs, 1)
        shapes[f"fire{index}.expand1x1"] = (expanded, squeezed, 1)
        shapes[f"fire{index}.expand3x3"] = (expanded, squeezed, 3)
    weights = {}
    for name, (outputs, inputs, side) in shapes.items():
        weights[f"{name}.weight"] = torch.randn(outputs, inputs, side, side) / (inputs * side * side) ** 0.5
        weights[f"{name}.bias"] = torch.zeros(outputs)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(weights, path)
    return losses.PerceptualLoss(path)


def test_perceptual_loss_is_zero_for_equal_pictures_only(perceptual: losses.PerceptualLoss) -> None:
    picture = torch.rand(2, 3, 64, 64)
    assert perceptual(picture, picture) == 0
    assert perceptual(picture.flip(1), picture) > 0


def test_perceptual_loss_teaches_the_made_picture(perceptual: losses.PerceptualLoss) -> None:
    made = torch.rand(1, 3, 64, 64, requires_grad=True)
    perceptual(made, torch.rand(1, 3, 64, 64)).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.safetensors"):
        losses.PerceptualLoss(tmp_path / "none.safetensors")


def test_colour_conversion_is_that_of_the_shared_ground() -> None:
    luma, chroma = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8) - 0.5
    expected = color.rgb_from_ycbcr(luma[0, 0].numpy(), chroma[0].numpy())
    assert np.abs(losses.rgb_from_ycbcr(luma, chroma)[0].numpy() - expected).max() < 1e-6


def test_a_discriminator_that_is_right_by_a_margin_has_nothing_to_learn() -> None:
    right, wrong = torch.full((4,), 2.0), torch.full((4,), -2.0)
    assert losses.discriminator_loss(real=right, made=wrong) == 0
    assert losses.discriminator_loss(real=wrong, made=right) == 6
