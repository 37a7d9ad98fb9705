from pathlib import Path

import pytest
import torch

from colorcli.errors import SetupError
from colorcli.train.discriminators import FeatureDiscriminator
from colorcli.train.losses import perceptual_loss
from colorcli.train.squeezenet import SqueezeNet


@pytest.fixture(scope="module")
def squeezenet(squeezenet_weights: Path) -> SqueezeNet:
    return SqueezeNet(squeezenet_weights)


def test_features_have_the_channels_and_strides_it_names(squeezenet: SqueezeNet) -> None:
    features = squeezenet(torch.rand(2, 3, 128, 128)).taps
    assert [tap.shape[1] for tap in features] == list(SqueezeNet.TAPS.values())
    assert [128 // tap.shape[2] for tap in features] == [4, 8, 18, 18, 18]


def test_features_have_unit_length(squeezenet: SqueezeNet) -> None:
    for tap in squeezenet(torch.rand(1, 3, 64, 64)).taps:
        assert torch.allclose(tap.norm(dim=1), torch.ones(1), atol=1e-3)


def test_the_made_picture_learns_from_them(squeezenet: SqueezeNet) -> None:
    made = torch.rand(1, 3, 64, 64, requires_grad=True)
    perceptual_loss(squeezenet(made).taps, squeezenet(torch.rand(1, 3, 64, 64)).taps).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0


def test_verdicts_depend_on_picture_and_condition(squeezenet: SqueezeNet) -> None:
    discriminator = FeatureDiscriminator(squeezenet.channels).eval()
    dark, light = torch.zeros(1, 4, 64, 64), torch.ones(1, 4, 64, 64)
    red, blue = (squeezenet(torch.eye(3)[i].view(1, 3, 1, 1).expand(1, 3, 64, 64)).features for i in (0, 2))
    for others in (discriminator(light, red), discriminator(dark, blue)):
        for verdict, other in zip(discriminator(dark, red), others, strict=True):
            assert not torch.equal(verdict, other)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.safetensors"):
        SqueezeNet(tmp_path / "none.safetensors")
