"""Muon: steps that move a weight matrix as far in every direction.

Adam's steps, seen as matrices, lie in few directions. Muon (Jordan et al. 2024, "Muon: an optimizer for
hidden layers in neural networks") makes the momentum's singular values all alike before it steps.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from colorcli.train.ranks import Ranks

MOMENTUM = 0.95
NARROWEST = 16
"""Convolutions with fewer inputs or outputs, depthwise ones among them, are no matrices to speak of."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan's polynomial: five rounds bring singular values to between 0.7 and 1.2."""
ROUNDS = 5
ADAMS_SIZE = 0.2
"""Root mean square of AdamW's usual steps (Liu et al. 2025, section 2.2): one learning rate serves both."""


class Muon(torch.optim.AdamW):
    """Muon for convolutions, weights [out, in, h, w] as matrices [out, in * h * w]; AdamW for the rest.

    Each process makes its share of the steps, for they cost as much as a few pictures.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], ranks: Ranks, **adam: Any) -> None:
        super().__init__(groups, **adam)
        self.ranks = ranks

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
            weights.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])
            weights.grad = None  # done: AdamW passes over it
        return super().step(closure)

    def _directions(self, matrices: list[Tensor]) -> list[Tensor]:
        """What to step along, for each of the weights; all processes hear of all."""
        mine = _shared_out(matrices, self.ranks.count)[self.ranks.rank]
        directions = []
        for index, weights in enumerate(matrices):
            assert weights.grad is not None
            state = self.state[weights]
            if not state:  # AdamW expects a step in every state that it reads back
                state.update(momentum=torch.zeros_like(weights), step=torch.tensor(0.0))
            state["momentum"].lerp_(weights.grad, 1 - MOMENTUM)
            ahead = weights.grad.lerp(state["momentum"], MOMENTUM)  # Nesterov's
            directions.append(orthogonal(ahead) if index in mine else torch.zeros_like(weights))
        self.ranks.add_up(directions)
        return directions


def orthogonal(step: Tensor) -> Tensor:
    """The nearest step [out, in, h, w] with equal singular values, roughly, and of AdamW's size."""
    matrix = step.flatten(1)
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    matrix = matrix / (matrix.norm() + 1e-12)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ROUNDS):
        square = matrix @ matrix.T
        matrix = torch.addmm(matrix, torch.addmm(square, square, square, beta=b, alpha=c), matrix, beta=a)
    size = ADAMS_SIZE * max(matrix.shape) ** 0.5
    return (size * (matrix.T if tall else matrix)).view_as(step)


def _is_matrix(weights: Tensor) -> bool:
    return weights.ndim == 4 and min(weights.shape[:2]) >= NARROWEST


def _shared_out(matrices: list[Tensor], count: int) -> list[set[int]]:
    """Which matrices each of `count` processes makes steps for: about equal work, the same everywhere."""

    def cost(index: int) -> int:
        sides = matrices[index].flatten(1).shape
        return min(sides) ** 2 * max(sides)

    shares, loads = [set[int]() for _ in range(count)], [0] * count
    for index in sorted(range(len(matrices)), key=cost, reverse=True):
        least = loads.index(min(loads))
        shares[least].add(index)
        loads[least] += cost(index)
    return shares
