import pytest
import torch

from colorcli.train.efficientnet import EfficientNet
from colorcli.train.eye import Sight
from colorcli.train.networks import MobileUNet
from colorcli.train.readout import Readout


@pytest.fixture(scope="module")
def truth() -> Sight:
    pictures = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return EfficientNet("efficientnet-lite0")(pictures)


def test_the_generators_features_lie_where_the_eyes_do(truth: Sight) -> None:
    hidden = MobileUNet().eval().guess(torch.rand(4, 4, 64, 64)).hidden
    assert tuple(features.shape[1] for features in hidden) == MobileUNet.hidden
    for features, tap in zip(hidden, truth.taps[-2:], strict=True):
        assert features.shape[2:] == tap.shape[2:]


def test_features_that_are_the_eyes_own_leave_only_the_name_to_learn(truth: Sight) -> None:
    taps = tuple(truth.taps[-2:])
    channels = tuple(tap.shape[1] for tap in taps)
    readout = Readout(channels, channels, 1000)
    with torch.no_grad():
        for place in readout.places:
            torch.nn.init.dirac_(place.weight)
            torch.nn.init.zeros_(place.bias)
        blurred = tuple(tap.mean((2, 3), keepdim=True).expand_as(tap) for tap in taps)
        assert 0 < readout(taps, truth) < readout(blurred, truth) - 0.1
