"""The contract every backend keeps; `tests/engines/test_contract.py` runs over all of them."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from colorcli.models.card import ModelCard


class Engine(ABC):
    """A generator ready to run. A context manager; not safe for use from two threads at once."""

    card: ModelCard
    device: str
    """What it runs on: `cpu`, `cuda:0`, ..."""

    @abstractmethod
    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        """Condition [N, 4, H, W] -> BT.601 chroma [N, 2, H, W] in [-0.5, 0.5].

        H and W are multiples of `card.multiple_of`; any N >= 1.
        """

    def close(self) -> None:  # noqa: B027 - most backends hold nothing that needs freeing
        """Free what the backend holds; the engine is of no use afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
