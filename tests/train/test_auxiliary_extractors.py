import pytest
import torch
from torch import Tensor

from colorcli.train.auxiliary_extractors import TURNS, AuxiliaryExtractors, random_view
from colorcli.train.losses import recognition_loss


@pytest.fixture(scope="module")
def extractors() -> AuxiliaryExtractors:
    return AuxiliaryExtractors()


def pictures(count: int = 4) -> tuple[Tensor, Tensor]:
    """Gray pictures that receive gradients, and their colored originals."""
    real = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return real.mean(1, keepdim=True).expand(-1, 3, -1, -1).clone().requires_grad_(True), real


def view(*seed: int) -> Tensor:
    return torch.from_numpy(random_view(seed)).float()


def test_each_network_is_shown_each_half_of_the_batch(extractors: AuxiliaryExtractors) -> None:
    generated, real = pictures()
    shown, losses = [], []
    for turn in range(TURNS):
        loss = recognition_loss(*extractors(generated, real, turn=turn, view=view(0)))
        (gradient,) = torch.autograd.grad(loss, generated)
        shown.append(gradient.flatten(1).abs().sum(1) > 0)
        losses.append(float(loss.detach()))
    assert len(set(losses)) == 4
    assert torch.equal(shown[0], shown[1])
    assert torch.equal(shown[2], shown[3])
    assert torch.equal(shown[0], ~shown[2])


def test_the_original_loses_nothing(extractors: AuxiliaryExtractors) -> None:
    _, real = pictures()
    assert float(recognition_loss(*extractors(real, real, turn=0, view=view(0)))) == pytest.approx(
        0, abs=1e-5
    )


def test_the_view_depends_on_the_seed_alone(extractors: AuxiliaryExtractors) -> None:
    _, real = pictures(count=1)
    first, again, other = (
        extractors(real, real, turn=3, view=view(*seed))[1].maps[0] for seed in ((1, 2), (1, 2), (1, 3))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_view_is_a_part_of_the_crop(extractors: AuxiliaryExtractors) -> None:
    """What lies outside of it has no influence."""
    generated, real = pictures(count=2)
    features, _ = extractors(generated, real, turn=0, view=torch.tensor([0.75, -0.25, 0.25]))
    (gradient,) = torch.autograd.grad(features.maps[0].sum(), generated)
    shown = gradient[0].abs().sum(0) > 0
    assert shown[17:, :47].all()
    assert not shown[:15].any()
    assert not shown[:, 49:].any()
