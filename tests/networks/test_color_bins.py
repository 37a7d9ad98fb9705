import torch
import torch.nn.functional as F

from colorcli.networks import color_bins as bins


def test_the_target_distribution_has_the_true_color_as_its_mean() -> None:
    chroma = 0.6 * (torch.rand(2, 2, 32, 32) - 0.5)
    logits = torch.zeros(2, 8, 8, bins.COUNT, requires_grad=True)
    bins.classification_loss(logits, chroma).backward()
    assert logits.grad is not None
    # The gradient of cross-entropy is what was said minus what is true.
    wanted = torch.softmax(logits, dim=-1) - logits.grad * (2 * 8 * 8)
    assert wanted.min() > -1e-6
    assert torch.allclose(wanted.sum(-1), torch.ones(2, 8, 8), atol=1e-5)
    mean = F.interpolate(chroma, (8, 8), mode="area").permute(0, 2, 3, 1)
    assert torch.allclose(wanted @ bins.colors(), mean, atol=1e-5)


def test_colors_beyond_the_grid_count_as_its_edge() -> None:
    logits = torch.zeros(1, 4, 4, bins.COUNT)
    beyond, edge = torch.full((1, 2, 4, 4), 0.5), torch.full((1, 2, 4, 4), float(bins.LEVELS[-1]))
    assert bins.classification_loss(logits, beyond) == bins.classification_loss(logits, edge)
