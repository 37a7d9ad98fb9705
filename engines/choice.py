"""What `--device auto` means: the device that was measured to run this model fastest, at its size.

Each model is measured once on this machine; the result is kept in the user's cache folder until the model,
the GPUs or the runtimes change.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import onnxruntime as ort

from colorcli.engines.base import Engine
from colorcli.engines.cache import cache_folder
from colorcli.engines.gpus import candidates, find_gpus
from colorcli.engines.timing import milliseconds
from colorcli.errors import ColorcliError
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard

CPU = "cpu"
CALLS = 5
SIZE = 256
"""Short side in pixels at which models without a card are measured."""


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
    except (OSError, ValueError):  # none yet, or damaged: measured again
        return {}


def _measure(devices: list[str], open_on: Callable[[str], Engine]) -> str:
    """The first of the devices that is faster than the CPU, or the CPU."""
    on_cpu = _time(CPU, open_on)
    for device in devices:
        with suppress(Exception):  # whatever a driver does wrong, the CPU works
            if _time(device, open_on) < on_cpu:
                return device
    return CPU


def _time(device: str, open_on: Callable[[str], Engine]) -> float:
    with open_on(device) as engine:
        size = SIZE
        with suppress(ValueError):
            size = ModelCard.from_metadata(engine.metadata).working_size
        return milliseconds(engine, size=size, calls=CALLS)


def _key(path: Path, devices: list[str]) -> str:
    parts = [
        hashlib.sha256(path.read_bytes()).hexdigest(),
        ort.__version__,
        devices,
        [asdict(gpu) for gpu in find_gpus()],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _file() -> Path:
    return cache_folder("devices") / "fastest.json"


def _remember(key: str, device: str) -> None:
    with suppress(OSError, ColorcliError), atomic_write(_file()) as partial:
        partial.write_text(json.dumps({**remembered(), key: device}))
