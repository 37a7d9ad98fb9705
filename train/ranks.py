"""Several processes, one run: `torchrun --nproc-per-node N -m colorcli train ...`.

Every process works on its share of each batch; gradients are averaged, so that all hold the same weights.
Batch norm's statistics are each process's own; those of the first are the ones kept.
"""

import os
from collections.abc import Iterable
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
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = torch.cat(
            [gradient.flatten() for gradient in gradients]
        )  # one message is faster than many
        dist.all_reduce(together)
        means = (together / self.count).split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def leave(self) -> None:
        if self.count > 1:
            dist.destroy_process_group()
