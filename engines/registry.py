"""The engines by name: which files each opens, what it needs installed, and what installs it."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from colorcli.engines.base import Engine
from colorcli.engines.device import Device, is_compiled
from colorcli.engines.digest import file_digest
from colorcli.engines.engine_file import REBUILD_KEY, SOURCE_KEY
from colorcli.errors import SetupError, install_command
from colorcli.networks.card import CARD_KEY, ModelCard
from colorcli.options import DEFAULT_MODEL

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
        try:
            loaded = import_module(f"colorcli.engines.{module}")
        except (ImportError, OSError, RuntimeError) as error:  # of libraries that do not fit one another
            cause = f"{self.name} is installed but does not load ({str(error).splitlines()[0]})"
            raise SetupError(path, cause, f"install it in a fresh environment: {self.install}") from error
        engine: Engine = getattr(loaded, name)(path, device, threads)
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
            CPU, and falls back to the CPU if that GPU fails. On any GPU, a batch that fails is done again
            in smaller ones.
        threads: CPU threads to use; None uses all cores.

    Raises:
        SetupError: the file is missing or of an unknown kind, or the backend or device is not available.
        UsageError: no device has this name.
    """
    path = Path(path)
    check_model_file(path)
    candidates = backends_for(path)
    if not candidates:
        raise SetupError(path, "not a model file", "give an .onnx, .safetensors, .pth or .engine file")
    kind = Device.parse(device).kind
    named = [backend for backend in candidates if backend.name == kind]
    backend = (named or candidates)[0]
    if kind in ("cpu", "openvino"):
        return backend.open(path, device, threads)
    if kind == "auto":
        return _open_fastest(backend, path, threads)
    from colorcli.engines.guarded import GuardedEngine

    return GuardedEngine(backend.open(path, device, threads), None)


def check_model_file(path: Path) -> None:
    """Check that there is a file.

    Raises:
        SetupError: there is none.
    """
    inside = path / "generator.safetensors"
    if inside.is_file():
        raise SetupError(path, "is the folder of a training run", f"give {inside}")
    if not path.is_file():
        remedy = "check the name; `default` is the built-in model"
        raise SetupError(path, "is a folder" if path.is_dir() else "no such model file", remedy)


def _open_fastest(backend: Backend, path: Path, threads: int | None) -> Engine:
    """Open a model file on the device that runs it fastest, and on the CPU if that fails."""
    from colorcli.engines.guarded import GuardedEngine, open_guarded

    if compiled_for := "rtx" if is_compiled(path) else "cuda" if backend.name == "tensorrt" else "":
        engine = backend.open(path, compiled_for, threads)
        return GuardedEngine(engine, lambda: _open_source(path, engine.metadata, threads))

    def open_on(device: str) -> Engine:
        return backend.open(path, device, threads)

    backend.require(path)
    return open_guarded(_best_device(backend, path, open_on), open_on)


def _best_device(backend: Backend, path: Path, open_on: Callable[[str], Engine]) -> str:
    if backend.name == "onnxruntime":
        from colorcli.engines.choice import fastest_device

        return fastest_device(path, open_on)
    if backend.name == "openvino":
        return "cpu"
    from colorcli.engines.pytorch import available

    return str(available(Device("auto")))


def _open_source(path: Path, metadata: Mapping[str, str], threads: int | None) -> Engine:
    """Open on the CPU what a compiled file was made of: the built-in model, or what its command names.

    Raises:
        SetupError: neither is the model that was compiled.
    """
    wanted = metadata.get(SOURCE_KEY) or _card_digest(metadata)
    named = shlex.split(metadata.get(REBUILD_KEY, ""))[2:3]
    for source in (DEFAULT_MODEL, *map(Path, named)):
        if source.is_file() and (candidates := backends_for(source)):
            engine = candidates[0].open(source, "cpu", threads)
            if wanted and wanted == (_card_digest(engine.metadata) or file_digest(source)):
                return engine
            engine.close()
    cause = f"{path.name} runs on its card only, and {' '.join(named)} is not what it was made of"
    raise SetupError(path, cause, "give the model that it was made of as --model")


def _card_digest(metadata: Mapping[str, str]) -> str:
    return ModelCard.from_metadata(metadata).digest if CARD_KEY in metadata else ""


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
