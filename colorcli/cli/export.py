"""`colorcli export`: a model as the file for the machine that will run it."""

import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import RefusedError, UsageError, needs_extra
from colorcli.options import NO_KINDS, USUAL_SHAPES, Flag, ModelKinds, TensorrtOptions, model_path

if TYPE_CHECKING:
    from colorcli.engines.builders.parity import Parity
    from colorcli.engines.builders.request import ExportRequest
    from colorcli.engines.engine_file import Profile


class Precision(StrEnum):
    """Number type of a generator's weights and activations."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


RTX_TARGETS = ("sm86", "sm89", "sm120", "sm121")
"""RTX 30, 40 and 50, and DGX Spark."""


@with_options
def export(
    model: Annotated[
        Path, Argument(help="default, an .onnx file in float32, or a training run's generator.safetensors.")
    ],
    output: Annotated[
        Path,
        Flag(
            "FILE.onnx for any machine, FILE.engine for TensorRT, FILE.rtx.onnx for RTX cards, "
            "FILE.safetensors to train on.",
            short="-o",
            metavar="FILE",
        ),
    ],
    tensorrt: TensorrtOptions,
    precision: Annotated[Precision, Flag("Precision of weights and activations.")] = Precision.FP32,
    calibrate: Annotated[
        Path | None, Flag("int8: training images on which ranges are measured.", metavar="FOLDER")
    ] = None,
    evaluate: Annotated[
        Path | None, Flag("Color images on which the cost of the export is measured.", metavar="FOLDER")
    ] = None,
    model_kind: ModelKinds = NO_KINDS,
    overwrite: Annotated[bool, Flag("Replace an existing output.")] = False,
) -> None:
    """Write a model for the machine that will run it, and print how far it is from its source."""
    from colorcli.engines.builders.request import ExportRequest
    from colorcli.engines.device import is_compiled
    from colorcli.engines.engine_file import EngineOptions, RtxOptions

    source = model_path(model)
    _check(source, output, precision, tensorrt.via, overwrite=overwrite)
    _check_tensorrt(output, tensorrt)
    _check_calibration(precision, calibrate)
    pictures = _evaluation_files(evaluate) if evaluate else []
    engine, rtx = None, None
    if output.suffix == ".engine":
        compatible = tensorrt.version_compatible, tensorrt.hardware_compatible
        engine = EngineOptions(_profiles(tensorrt), *compatible)
    elif is_compiled(output):
        shaped = tensorrt.min or tensorrt.opt or tensorrt.max
        rtx = RtxOptions(_target(tensorrt.target), _profiles(tensorrt) if shaped else ())
    from colorcli.engines.builders.export import export_model

    kind = model_kind[0] if model_kind else "auto"
    own = tensorrt.timing_cache, tensorrt.via, tensorrt.device, kind
    request = ExportRequest(source, output, precision, calibrate, engine, rtx, *own)
    progress = _BuildProgress()
    with progress if engine else nullcontext():
        rows = export_model(request, progress)
    _print_parity(rows, precision)
    if pictures:
        _print_costs(list(_costs(request, pictures)))


def _check(source: Path, output: Path, precision: Precision, via: str, *, overwrite: bool) -> None:
    """Find what is wrong with a request before the heavy imports.

    Raises:
        UsageError: the options contradict each other.
        RefusedError: the output exists.
        SetupError: there is no such model file.
    """
    if output.suffix not in (".onnx", ".engine", ".safetensors"):
        remedy = "name it .onnx, .engine or .safetensors"
        raise UsageError(output, "no model can be exported to this kind of file", remedy)
    if output.suffix == ".safetensors" and precision != Precision.FP32:
        raise UsageError(output, "a checkpoint holds its weights in fp32", "leave out --precision")
    if output.suffix == ".onnx" and precision == Precision.BF16:
        raise UsageError(output, "bf16 is for TensorRT", "name it .engine, or choose fp16")
    if via not in ("onnx", "torch2trt"):
        raise UsageError(f"--via {via}", "is not a builder for TensorRT", "give onnx or torch2trt")
    from colorcli.engines.registry import check_model_file

    check_model_file(source)
    if output.exists():
        if output.samefile(source):
            raise UsageError(output, "is the model to export", "choose another output")
        if not overwrite:
            raise RefusedError(output, "the output exists already", "choose --overwrite or another name")


def _check_tensorrt(output: Path, given: TensorrtOptions) -> None:
    """Refuse what would have no effect.

    Raises:
        UsageError: an option does not concern this kind of file.
    """
    from colorcli.engines.device import is_compiled

    other = {"target"} if output.suffix == ".engine" else {field.name for field in fields(given)}
    remedy = "leave it out" if output.suffix == ".engine" else "name the output .engine, or leave it out"
    if is_compiled(output):
        other -= {"min", "opt", "max", "target"}
    for field in fields(given):
        if field.name in other and getattr(given, field.name) != field.default:
            option = f"--{field.name.replace('_', '-')}"
            raise UsageError(option, f"has no effect on {output.name}", remedy)


def _check_calibration(precision: Precision, folder: Path | None) -> None:
    """Find out before the heavy imports whether there are pictures to calibrate on.

    Raises:
        UsageError, InputError: there are none, or they would not be used.
    """
    if folder is not None and precision != Precision.INT8:
        raise UsageError(
            "--calibrate", f"has no effect on {precision}", "add --precision int8, or leave it out"
        )
    if folder is not None:
        from colorcli.evaluation.pictures import find_pictures

        find_pictures([str(folder)])
    elif precision == Precision.INT8:
        cause = "has no images on which to measure ranges"
        raise UsageError("--precision int8", cause, "give --calibrate FOLDER")


def _target(text: str) -> str:
    if text not in ("", *RTX_TARGETS):
        cause = "no card that TensorRT for RTX runs on"
        remedy = f"give {', '.join(RTX_TARGETS)}; other NVIDIA cards, such as sm90 (H100), run FILE.engine"
        raise UsageError(f"--target {text}", cause, remedy)
    return text


def _profiles(options: TensorrtOptions) -> tuple["Profile", ...]:
    from colorcli.engines.engine_file import Profile

    shapes = [
        given or [usual]
        for given, usual in zip((options.min, options.opt, options.max), USUAL_SHAPES, strict=True)
    ]
    if len(set(map(len, shapes))) > 1:
        raise UsageError("--min, --opt, --max", "each profile needs all three", "repeat all three")
    return tuple(Profile.parse(*triple) for triple in zip(*shapes, strict=True))


class _BuildProgress:
    """Shows TensorRT's phases as progress bars; Ctrl-C makes TensorRT stop the build."""

    def __init__(self) -> None:
        from rich.progress import TaskID

        from colorcli.progress import progress_bar

        self._bars = progress_bar()
        self._phases: dict[str, TaskID] = {}
        self._interrupted = False

    def __call__(self, phase: str, done: int, steps: int) -> bool:
        if phase not in self._phases:
            self._phases[phase] = self._bars.add_task(phase, total=steps)
        self._bars.update(self._phases[phase], completed=done)
        if done == steps:
            self._bars.remove_task(self._phases.pop(phase))
        return not self._interrupted

    def __enter__(self) -> None:
        # An exception must not pass through TensorRT's frames: the next report asks it to stop.
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self._bars.start()

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        signal.signal(signal.SIGINT, self._before)
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> None:
        self._interrupted = True


def _print_parity(rows: list["Parity"], precision: Precision) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    title = f"Chroma, {precision} against the source, in code values"
    table = Table("images", "size", "largest", "mean", title=title)
    for row in rows:
        count, height, width = row.shape
        table.add_row(str(count), f"{width}x{height}", f"{row.largest:.2g}", f"{row.mean:.2g}")
    Console().print(table)


@dataclass(frozen=True)
class _Cost:
    """Quality and speed of one file of a generator."""

    name: str
    ciede2000: float
    colorfulness: float
    milliseconds: float
    """Median for one image at the working size."""


def _evaluation_files(folder: Path) -> list[Path]:
    with needs_extra("--evaluate", "train"):
        from colorcli.evaluation.evaluate import evaluation_files
    return evaluation_files([str(folder)])


def _costs(request: "ExportRequest", pictures: list[Path]) -> Iterator[_Cost]:
    """The source on the CPU, then the exported file, on color images."""
    from colorcli import engines
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.engines.timing import milliseconds
    from colorcli.evaluation.evaluate import evaluate_predictor
    from colorcli.models.registry import adapt

    for path, device in ((request.source, "cpu"), (request.output, request.run_device)):
        with engines.open(path, device) as engine:
            predictor = ChromaPredictor(adapt(engine, path, request.kind))
            scores = evaluate_predictor(predictor, pictures).colorized.scores
            name = f"{path.name}, {predictor.card.precision}, {engine.device}"
            time = milliseconds(engine, size=predictor.size)
            yield _Cost(name, scores.ciede2000, scores.colorfulness, time)


def _print_costs(costs: list[_Cost]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "CIEDE2000", "colorfulness", "ms per image", title="What the export costs")
    reference = costs[0]
    for cost in costs:
        table.add_row(
            cost.name,
            f"{cost.ciede2000:.3f} ({cost.ciede2000 / reference.ciede2000 - 1:+.2%})",
            f"{cost.colorfulness:.2f} ({cost.colorfulness / reference.colorfulness - 1:+.2%})",
            f"{cost.milliseconds:.1f}",
        )
    Console().print(table)
