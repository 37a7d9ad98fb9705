"""Distributed training: `torchrun --nproc-per-node N -m colorcli train ...`.

Each process computes its share of every batch; gradients are averaged, so all processes hold the same
weights. Batch-norm statistics belong to each process, until those of the averaged weights are recomputed.

DistributedDataParallel averages the gradients; it can be captured with the rest of a step on a GPU.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

LONGEST_WAIT = timedelta(days=1)
"""For the process that packs the pictures or writes a file; gradients keep PyTorch's shorter time-out."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one run; a single one unless torchrun started several. A context manager."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Rank among the processes of this node."""
    node: int = 0
    """Number of this node."""
    patient: Any = None
    """Group of all processes on the CPU, with a long time-out; None for a single process."""

    @classmethod
    def join(cls, device: torch.device) -> Self:
        """Join the processes that torchrun started."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(device)
            os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")  # it cannot be captured
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        local_rank, node = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "GROUP_RANK"))
        patient = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
        return cls(dist.get_rank(), dist.get_world_size(), local_rank, node, patient)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.size > 1:
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this process reports and writes files."""
        return self.rank == 0

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, with the mean of all processes' gradients after each backward pass."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes."""
        self.sum(tensors)
        for tensor in tensors:
            tensor.div_(self.size)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])  # one message is faster than many
        dist.all_reduce(flat)
        sums = flat.split([tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view(tensor.shape))

    def largest(self, number: int) -> int:
        """The largest number that a process gives."""
        if self.size == 1:
            return number
        largest = torch.tensor(number)
        dist.all_reduce(largest, dist.ReduceOp.MAX, group=self.patient)
        return int(largest)

    def from_main(self, make: Callable[[], Value]) -> Value:
        """What `make` returns in the main process, which alone calls it."""
        if self.size == 1:
            return make()
        shared: list[Any] = [make() if self.is_main else None]
        dist.broadcast_object_list(shared, group=self.patient, device=torch.device("cpu"))
        return shared[0]

    def gather(self, rows: list[Value]) -> list[Value]:
        """The rows of all processes in turn, as one process would have made them of `all[rank::size]`."""
        if self.size == 1:
            return rows
        parts: list[list[Value]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, rows, group=self.patient)
        return [part[index] for index in range(len(parts[0])) for part in parts if index < len(part)]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier(group=self.patient)
