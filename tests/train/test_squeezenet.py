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
    features = squeezenet(torch.rand(2, 3, 128, 128)).maps
    assert [each.shape[1] for each in features] == list(SqueezeNet.OUTPUTS.values())
    assert [128 // each.shape[2] for each in features] == [4, 8, 18, 18, 18]


def test_features_have_unit_length(squeezenet: SqueezeNet) -> None:
    for features in squeezenet(torch.rand(1, 3, 64, 64)).maps:
        assert torch.allclose(features.norm(dim=1), torch.ones(1), atol=1e-3)


def test_perceptual_loss_has_a_gradient(squeezenet: SqueezeNet) -> None:
    generated = torch.rand(1, 3, 64, 64, requires_grad=True)
    perceptual_loss(squeezenet(generated).maps, squeezenet(torch.rand(1, 3, 64, 64)).maps).backward()
    assert generated.grad is not None
    assert generated.grad.abs().sum() > 0


def test_logits_depend_on_picture_and_condition(squeezenet: SqueezeNet) -> None:
    discriminator = FeatureDiscriminator(squeezenet.channels).eval()
    dark, light = torch.zeros(1, 4, 64, 64), torch.ones(1, 4, 64, 64)
    red, blue = (squeezenet(torch.eye(3)[i].view(1, 3, 1, 1).expand(1, 3, 64, 64)).levels for i in (0, 2))
    for others in (discriminator(light, red), discriminator(dark, blue)):
        for logits, other in zip(discriminator(dark, red), others, strict=True):
            assert not torch.equal(logits, other)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.safetensors"):
        SqueezeNet(tmp_path / "none.safetensors")
