"""Lanes to a GPU: while one computes, the other copies."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Lane(ABC):
    """A stream of its own, with page-locked memory on both ends."""

    @abstractmethod
    def start(self, condition: NDArray[np.float32]) -> None:
        """Queue the copy in, the network and the copy out for [n, 4, H, W], and return at once."""

    @abstractmethod
    def finish(self) -> NDArray[np.float32]:
        """Wait for what was started; its chroma [n, 2, H, W], valid until the next `start`."""


def run_in_lanes(lanes: Sequence[Lane], condition: NDArray[np.float32], piece: int) -> NDArray[np.float32]:
    """Condition [N, 4, H, W] -> chroma [N, 2, H, W], `piece` pictures at a time, the lanes taking turns."""
    pictures, _, height, width = condition.shape
    chroma = np.empty((pictures, 2, height, width), np.float32)
    busy: deque[tuple[Lane, slice]] = deque()

    def finish_oldest() -> None:
        lane, where = busy.popleft()
        chroma[where] = lane.finish()

    for turn, first in enumerate(range(0, pictures, piece)):
        if len(busy) == len(lanes):
            finish_oldest()
        lane, where = lanes[turn % len(lanes)], slice(first, first + piece)
        lane.start(condition[where])
        busy.append((lane, where))
    while busy:
        finish_oldest()
    return chroma
