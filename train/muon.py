"""Muon: an optimizer whose steps have nearly equal singular values.

Adam's steps, seen as matrices, are dominated by few directions. Muon (Jordan et al. 2024, "Muon: an optimizer
for hidden layers in neural networks") orthogonalizes the momentum before each step.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from colorcli.train.distributed import ProcessGroup

MOMENTUM = 0.95
MIN_CHANNELS = 16
"""Convolutions with fewer inputs or outputs, depthwise ones included, are left to AdamW."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan's polynomial: five iterations bring singular values to between 0.7 and 1.2."""
ITERATIONS = 5
ADAMW_RMS = 0.2
"""Root mean square of AdamW's usual steps (Liu et al. 2025, section 2.2): one learning rate serves both."""


class Muon(torch.optim.AdamW):
    """Muon for convolutions, weights [out, in, h, w] as matrices [out, in * h * w]; AdamW for the rest.

    Each process computes a share of the steps, because they cost as much as a few crops.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], processes: ProcessGroup, **adam: Any) -> None:
        super().__init__(groups, **adam)
        self.processes = processes

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        matrices = [
            (weights, group)
            for group in self.param_groups
            for weights in group["params"]
            if _is_matrix(weights) and weights.grad is not None
        ]
        directions = self._directions([weights for weights, _ in matrices])
        for (weights, group), direction in zip(matrices, directions, strict=True):
            weights.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * direction)
            weights.grad = None  # AdamW skips weights without a gradient
        return super().step(closure)

    def _directions(self, matrices: list[Tensor]) -> list[Tensor]:
        """The step's direction for each of the weights, the same in all processes."""
        own = partition(matrices, self.processes.size)[self.processes.rank]
        directions = []
        for index, weights in enumerate(matrices):
            assert weights.grad is not None
            state = self.state[weights]
            if not state:  # AdamW expects a step in every state that it loads
                state.update(momentum=torch.zeros_like(weights), step=torch.tensor(0.0))
            state["momentum"].lerp_(weights.grad, 1 - MOMENTUM)
            nesterov = weights.grad.lerp(state["momentum"], MOMENTUM)
            directions.append(orthogonalize(nesterov) if index in own else torch.zeros_like(weights))
        self.processes.sum(directions)
        return directions


def orthogonalize(step: Tensor) -> Tensor:
    """The nearest step [out, in, h, w] with roughly equal singular values and AdamW's root mean square."""
    matrix = step.flatten(1)
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    matrix = matrix / (matrix.norm() + 1e-12)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        square = matrix @ matrix.T
        matrix = torch.addmm(matrix, torch.addmm(square, square, square, beta=b, alpha=c), matrix, beta=a)
    scale = ADAMW_RMS * max(matrix.shape) ** 0.5
    return (scale * (matrix.T if tall else matrix)).view_as(step)


def _is_matrix(weights: Tensor) -> bool:
    return weights.ndim == 4 and min(weights.shape[:2]) >= MIN_CHANNELS


def partition(matrices: list[Tensor], count: int) -> list[set[int]]:
    """Indices of the matrices for each of `count` processes: about equal work, deterministic."""

    def cost(index: int) -> int:
        sides = matrices[index].flatten(1).shape
        return min(sides) ** 2 * max(sides)

    shares, loads = [set[int]() for _ in range(count)], [0] * count
    for index in sorted(range(len(matrices)), key=cost, reverse=True):
        lightest = loads.index(min(loads))
        shares[lightest].add(index)
        loads[lightest] += cost(index)
    return shares
