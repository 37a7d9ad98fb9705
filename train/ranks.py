"""Several processes, one run: `torchrun --nproc-per-node N -m colorcli train ...`.

Every process works on its share of each batch; gradients are averaged, so that all hold the same weights.
Batch norm's statistics are each process's own; those of the first are the ones kept.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Self:
        """Join the processes that torchrun started; alone if it did not."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), count)

    @property
    def is_first(self) -> bool:
        """Whether this process reports and writes."""
        return self.rank == 0

    def average(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its mean over all processes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.add_up(gradients)
        for gradient in gradients:
            gradient.div_(self.count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count == 1 or not tensors:
            return
        together = torch.cat([tensor.flatten() for tensor in tensors])  # one message is faster than many
        dist.all_reduce(together)
        sums = together.split([tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view(tensor.shape))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def leave(self) -> None:
        if self.count > 1:
            dist.destroy_process_group()
