"""PyTorch on CUDA: float16, channels last; each shape is recorded once as a CUDA graph, then replayed."""

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from colorcli.engines.base import Tensors
from colorcli.engines.lanes import Lane, run_in_lanes

PIECE = 8
"""Pictures computed at once: enough to fill a GPU, few enough to overlap copies with computation."""
SHAPES_KEPT = 4
"""Recorded shapes kept: each holds memory for all its activations."""
WARM_UP = 3
"""Runs before recording, in which cuDNN chooses its algorithms."""

Shape = tuple[int, ...]


class GraphRunner:
    """A generator on one GPU, for any shape."""

    def __init__(self, generator: nn.Module, device: torch.device) -> None:
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
        self._generator, self._device = generator.to(device, torch.float16), device
        self._lanes: OrderedDict[Shape, list[GraphLane]] = OrderedDict()
        self._seen: set[Shape] = set()

    def __call__(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        """Condition [N, 4, H, W] -> chroma [N, 2, H, W]."""
        try:
            return self._run(condition)
        except RuntimeError:  # out of memory, for one: a smaller batch needs what recorded shapes hold
            self._lanes.clear()
            raise

    def _run(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        pictures = len(condition)
        shape = (min(pictures, PIECE), *condition.shape[1:])
        if (
            shape not in self._seen
        ):  # for a single picture of its size, recording would take longer than it saves
            self._seen.add(shape)
            return np.concatenate([self._once(condition[n : n + PIECE]) for n in range(0, pictures, PIECE)])
        lanes = self._lanes_of(shape, 1 if pictures <= PIECE else 2)
        chroma: NDArray[np.float32] = run_in_lanes(lanes, {"condition": condition}, shape[0])["chroma"]
        return chroma

    def _once(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.ascontiguousarray(condition)).to(self._device)
        chroma: NDArray[np.float32] = infer(self._generator, batch).cpu().numpy()
        return chroma

    def _lanes_of(self, shape: Shape, count: int) -> list["GraphLane"]:
        lanes = self._lanes.setdefault(shape, [])
        self._lanes.move_to_end(shape)
        if len(self._lanes) > SHAPES_KEPT:
            self._lanes.popitem(last=False)
        lanes += [GraphLane(self._generator, shape, self._device) for _ in range(count - len(lanes))]
        return lanes


class GraphLane(Lane):
    """A recorded run at one shape, with its stream and memory."""

    def __init__(self, generator: nn.Module, shape: Shape, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._condition_host = torch.zeros(shape, pin_memory=True)
        self._condition = torch.zeros(shape, device=device)
        self._graph = torch.cuda.CUDAGraph()
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                infer(generator, self._condition)
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._chroma = infer(generator, self._condition)
        self._chroma_host = torch.empty(self._chroma.shape, pin_memory=True)
        self._pictures = 0

    def start(self, tensors: Tensors) -> None:
        """Run as many pictures as recorded; where fewer are given, the last run's fill the rest."""
        condition: NDArray[Any] = tensors["condition"]
        self._pictures = pictures = len(condition)
        self._condition_host.numpy()[:pictures] = condition
        with torch.cuda.stream(self._stream):
            self._condition[:pictures].copy_(self._condition_host[:pictures], non_blocking=True)
            self._graph.replay()
            self._chroma_host[:pictures].copy_(self._chroma[:pictures], non_blocking=True)

    def finish(self) -> Tensors:
        self._stream.synchronize()
        return {"chroma": self._chroma_host.numpy()[: self._pictures]}


def infer(generator: nn.Module, condition: Tensor) -> Tensor:
    """Condition [n, 4, H, W] float32 -> chroma [n, 2, H, W] float32, computed in float16."""
    batch = condition.to(torch.float16, memory_format=torch.channels_last)
    chroma: Tensor = generator(batch)
    return chroma.to(torch.float32, memory_format=torch.contiguous_format)
