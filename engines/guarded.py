"""An engine on a card that may be lost: what fails is done again in smaller batches, then on the CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorcli.engines.base import Engine, Tensors
from colorcli.errors import SetupError


class GuardedEngine(Engine):
    """Passes runs on to a card's engine until that fails, then to the CPU's."""

    def __init__(self, device: str, open_on: Callable[[str], Engine]) -> None:
        """Open a model on a card; `open_on` opens it on the device of a name."""
        self._open_on = open_on
        self._on_card = True
        self._note = ""
        self._largest: int | None = None
        """Pictures that the card takes at once, if fewer than it was given."""
        try:
            self._engine = open_on(device)
        except SetupError as error:
            self._move_to_cpu(device, error)
        self.metadata, self.device = self._engine.metadata, self._engine.device
        self.inputs, self.outputs = self._engine.inputs, self._engine.outputs

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        count = len(next(iter(tensors.values())))
        while self._on_card:
            piece = min(count, self._largest or count)
            try:
                return self._run_pieces(tensors, count, piece)
            except SetupError as error:
                self._give_up(piece, error)
        return self._engine.run(tensors)

    def _run_pieces(self, tensors: Tensors, count: int, piece: int) -> dict[str, NDArray[Any]]:
        if piece == count:
            return self._engine.run(tensors)
        runs = [
            self._engine.run({name: values[first : first + piece] for name, values in tensors.items()})
            for first in range(0, count, piece)
        ]
        return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}

    def _give_up(self, piece: int, error: SetupError) -> None:
        """Halve the batch; below one picture, move to the CPU."""
        if piece > 1:
            self._largest = piece // 2
            self._note = f"{self.device} failed; batches of {self._largest} from here on ({error.cause})"
        else:
            self._engine.close()
            self._move_to_cpu(self.device, error)
            self.device = self._engine.device

    def _move_to_cpu(self, lost: str, error: SetupError) -> None:
        self._on_card = False
        self._engine = self._open_on("cpu")
        self._note = f"{lost} failed; on the CPU from here on ({error.cause})"

    def take_note(self) -> str:
        note, self._note = self._note, ""
        return note

    def close(self) -> None:
        self._engine.close()
