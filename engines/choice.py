"""What `--device auto` means: the device that ran this model fastest, at its size, and as the CPU does.

Each model is measured once on this machine; the result is kept in the user's cache folder until the model,
the GPUs or the runtimes change.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.engines.base import Engine
from colorcli.engines.cache import cache_folder
from colorcli.engines.digest import file_digest
from colorcli.engines.gpus import candidates, find_gpus
from colorcli.engines.timing import milliseconds, sample_inputs
from colorcli.errors import InputError, SetupError
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard

CPU = "cpu"
CALLS = 5
SIZE = 256
"""Short side in pixels at which models without a card are measured."""
TOLERANCE = 0.05
"""Largest difference from the CPU's outputs, as a share of their range: fp16 exports reach 0.03."""
LEAST_RANGE = 0.01


def fastest_device(path: Path, open_on: Callable[[str], Engine]) -> str:
    """The device that runs a model fastest: a name that `Device.parse` reads.

    Args:
        open_on: opens the model on the device of this name.
    """
    devices = [str(device) for device in candidates()]
    if not devices:
        return CPU
    key = _key(path, devices)
    known = remembered()
    if key not in known:
        # Written first, so that a driver that crashes the process does so once only.
        _remember(key, CPU)
        known[key] = _measure(devices, open_on)
        _remember(key, known[key])
    return known[key]


def forget() -> None:
    """Forget all measurements."""
    _file().unlink(missing_ok=True)


def remembered() -> dict[str, str]:
    """The devices chosen so far, by a digest of what they depend on."""
    try:
        return dict(json.loads(_file().read_text()))
    except (OSError, ValueError, SetupError):  # none yet, or damaged: measured again
        return {}


def _measure(devices: list[str], open_on: Callable[[str], Engine]) -> str:
    """The first of the devices that is faster than the CPU and gives the same, or the CPU."""
    on_cpu = _try(CPU, open_on)
    for device in devices:
        with suppress(Exception):  # whatever a driver does wrong, the CPU works
            trial = _try(device, open_on)
            if trial.milliseconds < on_cpu.milliseconds and trial.agrees_with(on_cpu):
                return device
    return CPU


@dataclass(frozen=True)
class _Trial:
    """What a device did with a model."""

    milliseconds: float
    outputs: dict[str, NDArray[Any]]
    """For the sample of `timing`."""

    def agrees_with(self, other: "_Trial") -> bool:
        """Whether the outputs differ by no more than rounding, float16's included."""
        return all(
            np.abs(self.outputs[name] - values).max() <= TOLERANCE * max(np.ptp(values), LEAST_RANGE)
            for name, values in other.outputs.items()
        )


def _try(device: str, open_on: Callable[[str], Engine]) -> _Trial:
    with open_on(device) as engine:
        size = SIZE
        with suppress(ValueError):
            size = ModelCard.from_metadata(engine.metadata).working_size
        time = milliseconds(engine, size=size, calls=CALLS)
        return _Trial(time, engine.run(sample_inputs(engine, size=size)))


def _key(path: Path, devices: list[str]) -> str:
    parts = [
        file_digest(path),
        ort.__version__,
        devices,
        [asdict(gpu) for gpu in find_gpus()],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _file() -> Path:
    return cache_folder("devices") / "fastest.json"


def _remember(key: str, device: str) -> None:
    with suppress(SetupError, InputError), atomic_write(_file()) as partial:
        partial.write_text(json.dumps({**remembered(), key: device}))
