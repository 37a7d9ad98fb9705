"""The model adapters, and how one is chosen for a model file."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from colorcli import engines
from colorcli.engines import Engine
from colorcli.engines.engine_file import KIND_KEY
from colorcli.engines.shared import EngineConnections
from colorcli.errors import SetupError, UsageError
from colorcli.models.adapter import ModelAdapter
from colorcli.models.blend import BlendedModel, parse_weights
from colorcli.models.ddcolor import DDColor
from colorcli.models.deoldify import DeOldify, DeOldifyNormalized, RgbModel
from colorcli.models.native import NativeModel
from colorcli.models.zhang import Eccv16, Eccv16Caffe, Siggraph17, Siggraph17Hints

ADAPTERS: tuple[type[ModelAdapter], ...] = (
    NativeModel,
    DDColor,
    DeOldify,
    DeOldifyNormalized,
    RgbModel,
    Eccv16,
    Eccv16Caffe,
    Siggraph17,
    Siggraph17Hints,
)
"""Add a family of models here."""
AUTO = "auto"
KINDS = tuple(dict.fromkeys((AUTO, *(adapter.kind for adapter in ADAPTERS))))
"""What `--model-kind` takes."""


def open_model(
    files: Path | Sequence[Path],
    device: str = "auto",
    threads: int | None = None,
    kinds: str | Sequence[str] = (),
    shared: EngineConnections | None = None,
) -> ModelAdapter:
    """Open a model file with the engine for its kind and the adapter that the file's contents call for.

    Args:
        files: `.onnx`, a checkpoint (`.safetensors`) or a TensorRT engine (`.engine`). Several are blended;
            each may end in `:WEIGHT`.
        device: a name that `engines.device.Device.parse` reads; `auto` takes a GPU that was measured to be
            faster than the CPU.
        threads: CPU threads to use; None uses all cores.
        kinds: one of `KINDS` for each file, in order; none leaves all to `auto`.
        shared: engines that another process runs on a card, to use in place of new ones.

    Raises:
        InputError: a `.safetensors` file that is not a generator checkpoint.
        SetupError: the file is missing or unreadable, no adapter or more than one fits the model, or the
            backend or device is not available.
        UsageError: no device or kind has this name, or the weights or the number of kinds are wrong.
    """
    parts = paired(files, kinds)
    with ExitStack() as stack:
        models = [stack.enter_context(_open(path, device, threads, kind, shared)) for path, _, kind in parts]
        stack.pop_all()
    return models[0] if len(models) == 1 else BlendedModel(models, [weight for _, weight, _ in parts])


def paired(files: Path | Sequence[Path], kinds: str | Sequence[str]) -> list[tuple[Path, float, str]]:
    """Each model file with its weight and its kind; arguments as of `open_model`.

    Raises:
        UsageError: the weights or the number of kinds are wrong.
    """
    paths, weights = parse_weights(files)
    kinds = [kinds] if isinstance(kinds, str) else list(kinds) or [AUTO] * len(paths)
    if len(kinds) != len(paths):
        cause = f"{len(kinds)} kinds for {len(paths)} model files"
        remedy = f"give one for each --model, in the same order; {AUTO} leaves it to the file"
        raise UsageError("--model-kind", cause, remedy)
    return list(zip(paths, weights, kinds, strict=True))


def _open(
    path: Path, device: str, threads: int | None, kind: str, shared: EngineConnections | None
) -> ModelAdapter:
    if kind not in KINDS:
        raise UsageError("--model-kind", f"no kind is called {kind!r}", f"kinds are {', '.join(KINDS)}")
    engine = (shared and shared.open(path)) or engines.open(path, device, threads)
    try:
        return adapt(engine, path, kind)
    except BaseException:
        engine.close()
        raise


def adapt(engine: Engine, path: Path, kind: str = AUTO) -> ModelAdapter:
    """Choose the adapter for the model in an engine opened from `path`; `auto` takes what the file says.

    Raises:
        SetupError: none fits, more than one does, or the model's card is incomplete.
    """
    if kind == AUTO:
        kind = engine.metadata.get(KIND_KEY, AUTO)
    tensors = f"inputs {_described(engine.inputs)}; outputs {_described(engine.outputs)}"
    fitting = [adapter for adapter in ADAPTERS if adapter.matches(engine)]
    if not fitting:
        cause = f"not a colorizer that colorcli knows ({tensors})"
        raise SetupError(path, cause, f"kinds are {', '.join(KINDS[1:])}; see docs/models.md")
    chosen = [adapter for adapter in fitting if kind in (AUTO, adapter.kind)]
    if not chosen:
        cause = f"cannot be of kind {kind} ({tensors})"
        raise SetupError(path, cause, f"by its tensors it can be: {_kinds(fitting)}")
    if len(chosen) > 1:
        cause = f"several kinds of models have its tensors ({tensors})"
        raise SetupError(path, cause, f"name its kind with --model-kind: {_kinds(chosen)}")
    try:
        return chosen[0](engine, path)
    except ValueError as error:
        raise SetupError(path, str(error), "export it with `colorcli export`") from error


def _kinds(adapters: Sequence[type[ModelAdapter]]) -> str:
    return ", ".join(dict.fromkeys(adapter.kind for adapter in adapters))


def _described(specs: Sequence[engines.TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {list(spec.shape)} {spec.dtype}" for spec in specs)
