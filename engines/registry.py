"""Which backend opens which file, and what installs one that is missing."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from colorcli.engines.base import Engine
from colorcli.engines.device import Device
from colorcli.errors import SetupError


def _extra(name: str) -> str:
    return f"pip install 'colorcli[{name}]'"


@dataclass(frozen=True)
class Backend:
    name: str
    suffix: str
    """Of the files it opens."""
    engine: str
    """`module:class` in `colorcli.engines`; imported only when used, for some runtimes take seconds."""
    needs: tuple[str, ...]
    """Modules it imports."""
    install: str

    @property
    def missing(self) -> list[str]:
        """What of `needs` is not installed."""
        return [module for module in self.needs if not _installed(module)]

    def require(self, subject: Path) -> None:
        """Raise a SetupError about `subject` where the backend is not installed."""
        if self.missing:
            raise SetupError(subject, f"{' and '.join(self.missing)} not installed", self.install)

    def open(self, path: Path, device: str = "auto", threads: int | None = None) -> Engine:
        """Open a generator file.

        Raises:
            SetupError: the backend is not installed, the file is unfit for it, or there is no such device.
        """
        self.require(path)
        module, name = self.engine.split(":")
        engine: Engine = getattr(import_module(f"colorcli.engines.{module}"), name)(path, device, threads)
        return engine


_ALL = (
    Backend("onnxruntime", ".onnx", "onnxruntime:OnnxEngine", ("onnxruntime",), "pip install onnxruntime"),
    Backend("openvino", ".onnx", "openvino:OpenvinoEngine", ("openvino",), _extra("openvino")),
    Backend("torch", ".safetensors", "pytorch:TorchEngine", ("torch", "safetensors"), _extra("train")),
    Backend(
        "tensorrt", ".engine", "tensorrt:TensorrtEngine", ("tensorrt", "cuda.bindings"), _extra("tensorrt")
    ),
)
BACKENDS = {backend.name: backend for backend in _ALL}


def open_engine(path: Path, device: str = "auto", threads: int | None = None) -> Engine:
    """Open a generator file: `.onnx`, a checkpoint's `.safetensors`, or a TensorRT `.engine`.

    Args:
        device: as `Device.parse` reads it; `auto` takes a GPU where there is one.
        threads: CPU threads to use, all cores if None.

    Raises:
        SetupError: no such file, an unknown kind of file, or a backend or device that is missing.
        UsageError: no such device.
    """
    path = Path(path)
    if not path.is_file():
        raise SetupError(path, "no such model file", "check --model, or leave it out for the built-in one")
    candidates = [backend for backend in BACKENDS.values() if backend.suffix == path.suffix]
    if not candidates:
        raise SetupError(path, "not a model file", "give an .onnx, .safetensors or .engine file")
    named = [backend for backend in candidates if backend.name == Device.parse(device).kind]
    return (named or candidates)[0].open(path, device, threads)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name
        return False
