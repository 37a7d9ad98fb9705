import pytest
import torch

from colorcli.train.discriminators import FeatureDiscriminator
from colorcli.train.efficientnet import WEIGHTS, EfficientNet
from colorcli.train.losses import recognition_loss


@pytest.fixture(scope="module", params=sorted(WEIGHTS))
def feature_extractor(request: pytest.FixtureRequest) -> EfficientNet:
    return EfficientNet(request.param)


def test_features_have_the_channels_and_strides_it_names(feature_extractor: EfficientNet) -> None:
    features = feature_extractor(torch.rand(2, 3, 128, 128))
    assert [each.shape[1] for each in features.maps] == list(feature_extractor.outputs.values())
    assert [128 // each.shape[2] for each in features.maps] == [4, 8, 16, 16, 32]
    assert [each.shape[1] for each in features.levels] == list(feature_extractor.channels)


def test_features_have_unit_length(feature_extractor: EfficientNet) -> None:
    for features in feature_extractor(torch.rand(1, 3, 64, 64)).levels:
        assert torch.allclose(features.norm(dim=1), torch.ones(1), atol=1e-3)


def test_it_recognizes_a_ball(feature_extractor: EfficientNet) -> None:
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    height = (0.5 - rows.square() - columns.square()).clamp(min=0).sqrt()
    shade = torch.where(height > 0, 0.55 + 0.6 * height, torch.ones(()))
    orange = torch.where(height > 0, torch.tensor([1.0, 0.55, 0.05]).view(3, 1, 1), torch.ones(3, 1, 1))
    log_probs = feature_extractor((shade * orange)[None]).log_probs
    assert log_probs is not None
    assert log_probs[0].argmax() == 722  # ImageNet's ping-pong ball


def test_the_discriminator_has_a_head_for_each_level(feature_extractor: EfficientNet) -> None:
    head_logits = FeatureDiscriminator(feature_extractor.channels)(
        torch.rand(2, 4, 64, 64), feature_extractor(torch.rand(2, 3, 64, 64)).levels
    )
    assert [logits.shape[2] for logits in head_logits] == [16, 8, 4, 4, 2, 1]


def test_recognition_loss_depends_on_color_and_has_a_gradient(feature_extractor: EfficientNet) -> None:
    real = torch.rand(2, 3, 64, 64)
    gray = real.mean(1, keepdim=True).expand(-1, 3, -1, -1).clone().requires_grad_(True)
    assert float(recognition_loss(feature_extractor(real), feature_extractor(real))) == pytest.approx(
        0, abs=1e-5
    )
    loss = recognition_loss(feature_extractor(gray), feature_extractor(real))
    loss.backward()
    assert loss > 0
    assert gray.grad is not None
    assert gray.grad.abs().sum() > 0
