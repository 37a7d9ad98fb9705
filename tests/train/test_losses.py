import numpy as np
import torch

from colorcli.color import ycbcr as color
from colorcli.evaluation.metrics import colorfulness
from colorcli.train import losses


def test_perceptual_loss_is_zero_for_equal_features_only() -> None:
    features = [torch.rand(2, 8, 6, 6), torch.rand(2, 16, 3, 3)]
    assert losses.perceptual_loss(features, features) == 0
    assert losses.perceptual_loss([each.flip(1) for each in features], features) > 0


def test_color_conversion_is_that_of_the_color_room() -> None:
    luma, chroma = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8) - 0.5
    expected = color.rgb_from_ycbcr(luma[0, 0].numpy(), chroma[0].numpy())
    assert np.abs(losses.rgb_from_ycbcr(luma, chroma)[0].numpy() - expected).max() < 1e-6


def test_a_discriminator_right_by_a_margin_has_no_loss() -> None:
    right, wrong = [torch.full((4,), 2.0)], [torch.full((4,), -2.0)]
    assert losses.discriminator_loss(real=right, generated=wrong) == 0
    assert losses.discriminator_loss(real=wrong, generated=right) == 6


def test_a_head_with_few_logits_weighs_as_much_as_one_with_many() -> None:
    few, many = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 8, 8)
    assert losses.generator_loss([few, many]) == losses.generator_loss([many, few]) == -0.5


def test_pale_pictures_lack_colorfulness_until_they_equal_the_originals() -> None:
    luma, real = torch.full((2, 1, 8, 8), 0.5), 0.2 * torch.rand(2, 2, 8, 8) - 0.1
    lacking = [float(losses.colorfulness_loss(luma, share * real, real)) for share in (0, 0.5, 0.9, 1, 1.2)]
    assert 0.9 < lacking[0] < 1
    assert lacking[:3] == sorted(lacking[:3], reverse=True)
    assert lacking[3:] == [0, 0]


def test_colorfulness_is_that_of_the_metric() -> None:
    luma, chroma = 0.4 + 0.2 * torch.rand(1, 1, 64, 64), 0.2 * torch.rand(1, 2, 64, 64) - 0.1
    rgb = np.rint(255 * losses.rgb_from_ycbcr(luma, chroma)[0].numpy()).astype(np.uint8)
    lacking = losses.colorfulness_loss(luma, 0.5 * chroma, chroma)
    paler = np.rint(255 * losses.rgb_from_ycbcr(luma, 0.5 * chroma)[0].numpy()).astype(np.uint8)
    expected = 1 - colorfulness(paler.transpose(1, 2, 0)) / colorfulness(rgb.transpose(1, 2, 0))
    assert abs(float(lacking) - expected) < 0.01


def test_colorfulness_loss_has_a_gradient_at_gray() -> None:
    luma, real = torch.full((2, 1, 8, 8), 0.5), 0.2 * torch.rand(2, 2, 8, 8) - 0.1
    generated = (1e-3 * real).requires_grad_(True)
    losses.colorfulness_loss(luma, generated, real).backward()
    assert generated.grad is not None
    assert generated.grad.isfinite().all()
    assert generated.grad.abs().sum() > 0
