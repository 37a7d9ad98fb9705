import numpy as np
import torch

from colorcli.core import color
from colorcli.train import losses


def test_perceptual_loss_is_zero_for_equal_features_only() -> None:
    features = [torch.rand(2, 8, 6, 6), torch.rand(2, 16, 3, 3)]
    assert losses.perceptual_loss(features, features) == 0
    assert losses.perceptual_loss([tap.flip(1) for tap in features], features) > 0


def test_colour_conversion_is_that_of_the_shared_ground() -> None:
    luma, chroma = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8) - 0.5
    expected = color.rgb_from_ycbcr(luma[0, 0].numpy(), chroma[0].numpy())
    assert np.abs(losses.rgb_from_ycbcr(luma, chroma)[0].numpy() - expected).max() < 1e-6


def test_a_discriminator_that_is_right_by_a_margin_has_nothing_to_learn() -> None:
    right, wrong = [torch.full((4,), 2.0)], [torch.full((4,), -2.0)]
    assert losses.discriminator_loss(real=right, made=wrong) == 0
    assert losses.discriminator_loss(real=wrong, made=right) == 6


def test_a_head_of_few_verdicts_counts_as_much_as_one_of_many() -> None:
    few, many = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 8, 8)
    assert losses.generator_loss([few, many]) == losses.generator_loss([many, few]) == -0.5
