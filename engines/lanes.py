"""Batches on a GPU in pieces: while one lane computes, another copies."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorcli.engines.base import Tensors


class Lane(ABC):
    """A CUDA stream with page-locked memory for the inputs and outputs of one piece of a batch."""

    @abstractmethod
    def start(self, tensors: Tensors) -> None:
        """Queue the copy to the GPU, the network and the copy back, and return at once."""

    @abstractmethod
    def finish(self) -> Tensors:
        """Wait for the outputs of what was started; they are valid until the next `start`."""


def run_in_lanes(lanes: Sequence[Lane], tensors: Tensors, piece: int) -> dict[str, NDArray[Any]]:
    """Run a batch, `piece` items of the first dimension at a time, on the lanes in turn.

    Returns:
        The outputs of the whole batch, in its order.
    """
    count = len(next(iter(tensors.values())))
    outputs: dict[str, NDArray[Any]] = {}
    busy: deque[tuple[Lane, slice]] = deque()

    def finish_oldest() -> None:
        lane, part = busy.popleft()
        for name, values in lane.finish().items():
            if name not in outputs:
                outputs[name] = np.empty((count, *values.shape[1:]), values.dtype)
            outputs[name][part] = values

    for turn, first in enumerate(range(0, count, piece)):
        if len(busy) == len(lanes):
            finish_oldest()
        lane, part = lanes[turn % len(lanes)], slice(first, first + piece)
        lane.start({name: values[part] for name, values in tensors.items()})
        busy.append((lane, part))
    while busy:
        finish_oldest()
    return outputs
