"""The training step as CUDA graphs: one launch instead of thousands, which take longer than the work."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
WARM_UP = 11
"""Steps run as usual before one is captured: kernels are chosen, optimizers make their state, and
DistributedDataParallel, whose documentation gives the number, has arranged its buckets."""


def own_stream(device: torch.device) -> AbstractContextManager[object]:
    """A stream for all that a GPU does in a run: the default one cannot be captured."""
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()


class CapturedStep:
    """Runs a step on a GPU; after the first `WARM_UP` calls, replays what it captured of it.

    A graph repeats the same kernels on the same memory, so the step must read nothing back to the CPU, and
    whatever changes from step to step must be in its inputs, in weights, or in optimizer state. It must be
    called on the same stream each time, not the default one.
    """

    def __init__(self, step: Callable[[Tensors, int], Tensors]) -> None:
        """`step` computes with inputs of fixed shapes; its second argument names one of several variants."""
        self._step, self._calls, self._inputs = step, 0, dict[str, Tensor]()
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensors]] = {}
        self._pool = torch.cuda.graph_pool_handle()  # variants never run at once, and share their memory

    def __call__(self, inputs: Tensors, variant: int) -> Tensors:
        """What `step` returns; the next call overwrites it."""
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._step(inputs, variant)
        if not self._inputs:
            self._inputs = {name: torch.empty_like(value) for name, value in inputs.items()}
        for name, value in inputs.items():
            self._inputs[name].copy_(value)
        if variant not in self._graphs:
            self._graphs[variant] = self._capture(variant)
        graph, outputs = self._graphs[variant]
        graph.replay()
        return outputs

    def _capture(self, variant: int) -> tuple[torch.cuda.CUDAGraph, Tensors]:
        """Record the step, which does not run it."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        # Other threads, as of NCCL and of data loaders, may go on with what is forbidden during a capture.
        with torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"):
            outputs = self._step(self._inputs, variant)
        return graph, outputs
