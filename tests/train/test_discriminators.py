import torch

from colorcli.train.discriminators import PatchDiscriminator


def test_every_logit_depends_on_a_patch_of_70_pixels() -> None:
    discriminator = PatchDiscriminator()
    condition = torch.rand(1, 4, 256, 256, requires_grad=True)
    (logits,) = discriminator(condition, [torch.rand(1, 2, 256, 256)])
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    assert condition.grad is not None
    rows = condition.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 70


def test_the_logits_depend_on_the_condition() -> None:
    discriminator, levels = PatchDiscriminator().eval(), [torch.rand(1, 2, 64, 64)]
    (dark,), (bright,) = (discriminator(fill(1, 4, 64, 64), levels) for fill in (torch.zeros, torch.ones))
    assert not torch.equal(dark, bright)
