"""An engine on a card that may be lost: what fails is done again in smaller batches, then on the CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorcli.engines.base import DeviceError, Engine, Tensors
from colorcli.errors import SetupError

CPU = "cpu"


class GuardedEngine(Engine):
    """Passes runs on to a card's engine until that fails, then to the CPU's."""

    def __init__(self, engine: Engine, open_on_cpu: Callable[[], Engine] | None, note: str = "") -> None:
        """Guard an engine.

        Args:
            open_on_cpu: opens its model on the CPU; None where the user named the card, which is to fail.
            note: for the user.
        """
        self._engine, self._open_on_cpu, self._note = engine, open_on_cpu, note
        self._largest: int | None = None
        """Pictures that the card takes at once, if fewer than it was given."""
        self.metadata, self.device = engine.metadata, engine.device
        self.inputs, self.outputs = engine.inputs, engine.outputs

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        count = len(next(iter(tensors.values())))
        while self.device != CPU:
            piece = min(count, self._largest or count)
            try:
                return self._run_pieces(tensors, count, piece)
            except DeviceError as error:
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

    def _give_up(self, piece: int, error: DeviceError) -> None:
        """Halve the batch; below one picture, move to the CPU.

        Raises:
            DeviceError: the model is not to run on the CPU, or cannot be opened there.
        """
        if piece > 1:
            self._largest = piece // 2
            self._note = f"{self.device} failed; batches of {self._largest} from here on ({error.cause})"
            return
        if self._open_on_cpu is None:
            raise error
        self._engine.close()
        try:
            self._engine = self._open_on_cpu()
        except SetupError as missing:
            remedy = f"continue with --resume, or {missing.remedy}"
            raise DeviceError(error.subject, f"{error.cause}; {missing.cause}", remedy) from error
        self._note = moved(self.device, error)
        self.device = self._engine.device

    def take_note(self) -> str:
        note, self._note = self._note, ""
        return note

    def close(self) -> None:
        self._engine.close()


def open_guarded(device: str, open_on: Callable[[str], Engine]) -> Engine:
    """Open a model on the device of this name, or on the CPU where that fails; `open_on` opens it on any."""
    if device == CPU:
        return open_on(CPU)
    try:
        engine, note = open_on(device), ""
    except SetupError as error:
        engine, note = open_on(CPU), moved(device, error)
    return GuardedEngine(engine, lambda: open_on(CPU), note)


def moved(device: str, error: SetupError) -> str:
    """What the user is told of a device that was lost."""
    return f"{device} failed; on the CPU from here on ({error.cause})"
