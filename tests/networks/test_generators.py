import pytest
import torch

from colorcli.networks.generators import GENERATORS, MobileUNet, PatchDiscriminator


@pytest.mark.parametrize("name", GENERATORS)
def test_any_multiple_in_chroma_of_that_size_out(name: str) -> None:
    generator = GENERATORS[name]().eval()
    unit = generator.multiple_of
    with torch.no_grad():
        chroma = generator(torch.rand(2, 4, unit, 2 * unit))
    assert chroma.shape == (2, 2, unit, 2 * unit)
    assert chroma.abs().max() <= 0.5


def test_mobile_unet_starts_nearly_gray_and_listens_to_hints() -> None:
    generator = MobileUNet().eval()
    condition = torch.rand(1, 4, 64, 64)
    assert generator(condition).abs().max() < 0.05
    hinted = condition.clone()
    hinted[:, 1:, 30:34, 30:34] = 1
    assert not torch.equal(generator(condition), generator(hinted))


def test_every_verdict_sees_a_patch_of_70_pixels() -> None:
    discriminator = PatchDiscriminator()
    condition = torch.rand(1, 4, 256, 256, requires_grad=True)
    (verdicts,) = discriminator(condition, [torch.rand(1, 2, 256, 256)])
    assert verdicts.shape == (1, 1, 30, 30)
    verdicts[0, 0, 15, 15].backward()
    assert condition.grad is not None
    rows = condition.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 70


def test_the_verdict_depends_on_the_condition() -> None:
    discriminator, seen = PatchDiscriminator().eval(), [torch.rand(1, 2, 64, 64)]
    (dark,), (bright,) = (discriminator(fill(1, 4, 64, 64), seen) for fill in (torch.zeros, torch.ones))
    assert not torch.equal(dark, bright)
