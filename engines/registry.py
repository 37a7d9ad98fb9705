"""The engines by name: which files each opens, what it needs installed, and what installs it."""

import json
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from colorcli.engines.base import Engine
from colorcli.engines.device import Device, is_compiled
from colorcli.errors import SetupError, install_command
from colorcli.networks.card import CARD_KEY

MAX_HEADER = 100_000_000
"""Longest header of a safetensors file in bytes, as its own reader has it."""


@dataclass(frozen=True)
class Backend:
    """A runtime and the engine class that wraps it."""

    name: str
    suffix: str
    """Suffix of the files that it opens, in lower case."""
    engine: str
    """`module:class` in `colorcli.engines`; imported only when used, because some runtimes take seconds."""
    needs: tuple[str, ...]
    """Modules that it imports."""
    extra: str = ""
    """The extra that brings them; empty if the package itself does."""

    @property
    def install(self) -> str:
        """Command that installs what is missing."""
        return install_command(self.extra) if self.extra else f"pip install {' '.join(self.needs)}"

    @property
    def missing(self) -> list[str]:
        """The modules of `needs` that are not installed."""
        return [module for module in self.needs if not _installed(module)]

    def require(self, subject: Path) -> None:
        """Check that the backend is installed.

        Raises:
            SetupError: it is not; the error names `subject` and the command that installs it.
        """
        if self.missing:
            raise SetupError(subject, f"{' and '.join(self.missing)} not installed", self.install)

    def open(self, path: Path, device: str = "auto", threads: int | None = None) -> Engine:
        """Open a model file.

        Raises:
            SetupError: the backend is not installed, cannot read the file, or lacks the device.
        """
        self.require(path)
        module, name = self.engine.split(":")
        engine: Engine = getattr(import_module(f"colorcli.engines.{module}"), name)(path, device, threads)
        return engine


_ALL = (
    Backend("onnxruntime", ".onnx", "onnxruntime:OnnxEngine", ("onnxruntime",)),
    Backend("openvino", ".onnx", "openvino:OpenvinoEngine", ("openvino",), "openvino"),
    Backend("torch", ".safetensors", "pytorch:TorchEngine", ("torch", "safetensors"), "train"),
    Backend(
        "spandrel",
        ".pth",
        "spandrel:SpandrelEngine",
        ("torch", "safetensors", "spandrel", "spandrel_extra_arches"),
        "spandrel",
    ),
    Backend("tensorrt", ".engine", "tensorrt:TensorrtEngine", ("tensorrt", "cuda.bindings"), "tensorrt"),
)
BACKENDS = {backend.name: backend for backend in _ALL}


def open_engine(path: Path, device: str = "auto", threads: int | None = None) -> Engine:
    """Open a model file: `.onnx`, a checkpoint (`.safetensors`, `.pth`) or a TensorRT engine (`.engine`).

    Args:
        device: a name that `Device.parse` reads; `auto` takes a GPU that was measured to be faster than the
            CPU, and falls back to the CPU if that GPU fails.
        threads: CPU threads to use; None uses all cores.

    Raises:
        SetupError: the file is missing or of an unknown kind, or the backend or device is not available.
        UsageError: no device has this name.
    """
    path = Path(path)
    if not path.is_file():
        raise SetupError(path, "no such model file", "check --model, or leave it out for the built-in one")
    candidates = backends_for(path)
    if not candidates:
        raise SetupError(path, "not a model file", "give an .onnx, .safetensors, .pth or .engine file")
    kind = Device.parse(device).kind
    named = [backend for backend in candidates if backend.name == kind]
    backend = (named or candidates)[0]
    if kind == "auto" and is_compiled(path):
        return backend.open(path, "rtx", threads)
    if kind == "auto" and backend.name == "onnxruntime":
        return _open_fastest(backend, path, threads)
    return backend.open(path, device, threads)


def _open_fastest(backend: Backend, path: Path, threads: int | None) -> Engine:
    backend.require(path)
    from colorcli.engines.choice import CPU, fastest_device
    from colorcli.engines.guarded import GuardedEngine

    def open_on(device: str) -> Engine:
        return backend.open(path, device, threads)

    device = fastest_device(path, open_on)
    return open_on(CPU) if device == CPU else GuardedEngine(device, open_on)


def backends_for(path: Path) -> list[Backend]:
    """The backends that open a file, by its suffix; a `.safetensors` file also by what it says of itself."""
    suffix = path.suffix.lower()
    if suffix == ".pt" or (suffix == ".safetensors" and not _has_card(path)):
        suffix = ".pth"
    return [backend for backend in BACKENDS.values() if backend.suffix == suffix]


def _has_card(path: Path) -> bool:
    """Whether a safetensors file carries a model card, or cannot be read at all.

    The file begins with the length of its header in 8 bytes; the header is JSON (safetensors' own format
    description).
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, MAX_HEADER))
    try:
        return CARD_KEY in json.loads(header).get("__metadata__", {})
    except (ValueError, AttributeError):
        return True


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name
        return False
