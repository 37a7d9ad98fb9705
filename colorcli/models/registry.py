"""The model adapters, and how one is chosen for a model file."""

from pathlib import Path

from colorcli import engines
from colorcli.engines import Engine
from colorcli.errors import SetupError
from colorcli.models.adapter import ModelAdapter
from colorcli.models.native import NativeModel

ADAPTERS: tuple[type[ModelAdapter], ...] = (NativeModel,)
"""In the order in which they are tried: add a family of models here."""


def open_model(path: Path, device: str = "auto", threads: int | None = None) -> ModelAdapter:
    """Open a model file with the engine for its kind and the adapter that the file's contents call for.

    Args:
        path: `.onnx`, a checkpoint (`.safetensors`) or a TensorRT engine (`.engine`).
        device: `auto`, `cpu`, `openvino`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`; `auto` takes a GPU
            where there is one.
        threads: CPU threads to use; None uses all cores.

    Raises:
        InputError: a `.safetensors` file that is not a generator checkpoint.
        SetupError: the file is missing or unreadable, no adapter fits the model, or the backend or device is
            not available.
        UsageError: no device has this name.
    """
    engine = engines.open(path, device, threads)
    try:
        return adapt(engine, path)
    except BaseException:
        engine.close()
        raise


def adapt(engine: Engine, path: Path) -> ModelAdapter:
    """Choose the adapter for the model in an engine opened from `path`.

    Raises:
        SetupError: none fits, or the model's card is incomplete.
    """
    for adapter in ADAPTERS:
        if adapter.matches(engine):
            try:
                return adapter(engine)
            except ValueError as error:
                raise SetupError(path, str(error), "export it with `colorcli export`") from error
    tensors = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in (*engine.inputs, *engine.outputs))
    cause = f"no model that colorcli knows (no model card, or other tensors: {tensors})"
    raise SetupError(path, cause, "export it with `colorcli export`")
