"""Which backend opens which file."""

from pathlib import Path

from colorcli.core.errors import SetupError
from colorcli.engines.base import Engine


def open_engine(path: Path, device: str = "auto", threads: int | None = None) -> Engine:
    """Open a generator file: `.onnx`, a checkpoint's `.safetensors`, or a TensorRT `.engine`.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` takes the fastest one present.
        threads: CPU threads to use, all cores if None.

    Raises:
        SetupError: no such file, an unknown kind of file, or a backend or device that is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise SetupError(path, "no such model file", "check --model, or leave it out for the built-in one")
    # Backends are imported here, not above, so that opening one never imports another's runtime.
    match path.suffix:
        case ".onnx":
            from colorcli.engines.onnxruntime import OnnxEngine

            return OnnxEngine(path, device, threads)
        case ".safetensors":
            from colorcli.engines.pytorch import TorchEngine

            return TorchEngine(path, device, threads)
    raise SetupError(path, "not a model file", "give an .onnx, .safetensors or .engine file")
