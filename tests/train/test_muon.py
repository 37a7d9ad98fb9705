import copy

import torch
from torch import nn

from colorcli.train.distributed import ProcessGroup
from colorcli.train.muon import ADAMW_RMS, Muon, orthogonalize, partition

RATE = 1e-2


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, 32, 3), nn.Conv2d(32, 24, 3), nn.Conv2d(24, 24, 3, groups=24), nn.Conv2d(24, 2, 1)
    )


def test_steps_have_nearly_equal_singular_values() -> None:
    torch.manual_seed(1)
    for shape in ((48, 16, 3, 3), (160, 32, 1, 1), (32, 160, 1, 1)):
        step = torch.randn(shape) * torch.logspace(-0.5, 0.5, shape[0]).view(-1, 1, 1, 1)
        result = orthogonalize(step)
        before, after = (torch.linalg.svdvals(matrix.flatten(1)) for matrix in (step, result))
        assert before.max() > 3 * before.min()
        assert after.max() < 2 * after.min()
        assert 0.5 * ADAMW_RMS < result.square().mean().sqrt() < 1.5 * ADAMW_RMS
        assert (result * step).sum() > 0


def test_only_dense_convolutions_are_stepped_by_muon() -> None:
    ours, theirs = small_network(), small_network()
    before = copy.deepcopy(ours)
    muon = Muon([{"params": ours.parameters()}], ProcessGroup(), lr=RATE, weight_decay=0.1)
    adam = torch.optim.AdamW(theirs.parameters(), lr=RATE, weight_decay=0.1)
    for network, steps in ((ours, muon), (theirs, adam)):
        network(torch.ones(1, 4, 9, 9)).square().sum().backward()
        steps.step()
    alike = [torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
    matrix = list(dict(ours.named_parameters())).index("1.weight")
    assert alike == [place != matrix for place in range(len(alike))]
    assert not torch.equal(ours[1].weight, before[1].weight)


def test_work_is_partitioned_completely_and_evenly() -> None:
    matrices = [torch.zeros(16 * size, 16, 1, 1) for size in range(1, 20)]
    shares = partition(matrices, 3)
    assert sorted(index for share in shares for index in share) == list(range(len(matrices)))
    loads = [sum(len(matrices[index]) for index in share) for share in shares]
    assert max(loads) < 1.2 * min(loads)
