import pytest
import torch

from colorcli.networks.generators import GENERATORS
from colorcli.networks.mobile_unet import MobileUNet


@pytest.mark.parametrize("name", GENERATORS)
def test_chroma_has_the_size_of_the_condition(name: str) -> None:
    generator = GENERATORS[name]().eval()
    unit = generator.multiple_of
    with torch.no_grad():
        chroma = generator(torch.rand(2, 4, unit, 2 * unit))
    assert chroma.shape == (2, 2, unit, 2 * unit)
    assert chroma.abs().max() <= 0.5


def test_mobile_unet_starts_nearly_gray_and_depends_on_hints() -> None:
    generator = MobileUNet().eval()
    condition = torch.rand(1, 4, 64, 64)
    assert generator(condition).abs().max() < 0.05
    hinted = condition.clone()
    hinted[:, 1:, 30:34, 30:34] = 1
    assert not torch.equal(generator(condition), generator(hinted))
