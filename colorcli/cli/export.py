"""`colorcli export`: a checkpoint's generator as a file for the machine that will run it."""

import signal
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from colorcli.errors import SetupError, UsageError

if TYPE_CHECKING:
    from colorcli.engines.builders.export import Cost
    from colorcli.engines.builders.parity import Parity
    from colorcli.engines.engine_file import Profile


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


SHAPES = ("1x256x256", "8x512x512", "16x1024x1024")
"""Of `--min`, `--opt` and `--max`: pictures, height, width."""


def export(
    checkpoint: Annotated[Path, Argument(help="generator.safetensors of a training run.")],
    output: Annotated[
        Path,
        Option("-o", "--output", metavar="FILE", help="FILE.onnx for any machine, FILE.engine for TensorRT."),
    ],
    precision: Annotated[Precision, Option(help="Of weights and activations.")] = Precision.FP32,
    calibrate: Annotated[
        Path | None, Option(metavar="FOLDER", help="int8: training pictures to measure ranges on.")
    ] = None,
    evaluate: Annotated[
        Path | None, Option(metavar="FOLDER", help="Color pictures on which to print what the export costs.")
    ] = None,
    smallest: Annotated[
        list[str] | None, Option("--min", metavar="NxHxW", help=f"TensorRT: smallest shape [{SHAPES[0]}].")
    ] = None,
    best: Annotated[
        list[str] | None, Option("--opt", metavar="NxHxW", help=f"TensorRT: fastest shape [{SHAPES[1]}].")
    ] = None,
    largest: Annotated[
        list[str] | None,
        Option(
            "--max",
            metavar="NxHxW",
            help=f"TensorRT: largest shape [{SHAPES[2]}]. All three again: another profile.",
        ),
    ] = None,
    timing_cache: Annotated[
        Path | None, Option(metavar="FILE", help="TensorRT: measurements kept from build to build.")
    ] = None,
    version_compatible: Annotated[
        bool, Option("--version-compatible", help="TensorRT: run with later versions, too.")
    ] = False,
    hardware_compatible: Annotated[
        bool, Option("--hardware-compatible", help="TensorRT: run on any GPU from Ampere on.")
    ] = False,
    via: Annotated[
        str, Option(metavar="onnx|torch2trt", help="TensorRT: what hands it the network.")
    ] = "onnx",
    device: Annotated[str, Option(help="TensorRT: the GPU to build on, cuda or cuda:N.")] = "cuda",
    overwrite: Annotated[bool, Option("--overwrite", help="Replace an existing output.")] = False,
) -> None:
    """Write a generator for the machine that will run it, and print how far it is from PyTorch."""
    from colorcli.engines.engine_file import EngineOptions

    _check(output, precision, calibrate, via, overwrite=overwrite)
    plan = None
    if output.suffix == ".engine":
        plan = EngineOptions(_profiles(smallest, best, largest), version_compatible, hardware_compatible)
    try:
        from colorcli.engines.builders.export import ExportRequest, export_generator, measure_costs
    except ModuleNotFoundError as error:
        cause = f"{error.name} is not installed"
        raise SetupError("colorcli export", cause, "pip install 'colorcli[train]'") from error
    request = ExportRequest(checkpoint, output, precision, calibrate, plan, timing_cache, via, device)
    progress = _BuildProgress()
    with progress if plan else nullcontext():
        rows = export_generator(request, progress)
    _print_parity(rows, precision)
    if evaluate is not None:
        _print_costs(measure_costs(request, evaluate))


def _check(output: Path, precision: Precision, calibrate: Path | None, via: str, *, overwrite: bool) -> None:
    """Whatever can be told before the heavy imports.

    Raises:
        UsageError: the request makes no sense.
    """
    if output.suffix not in (".onnx", ".engine"):
        raise UsageError(output, "not a kind of file that can be exported", "name it .onnx or .engine")
    if output.suffix == ".onnx" and precision == Precision.BF16:
        raise UsageError(output, "bf16 is for TensorRT", "name it .engine, or choose fp16")
    if precision == Precision.INT8 and calibrate is None:
        raise UsageError(
            "--precision int8", "has no pictures to measure ranges on", "give --calibrate FOLDER"
        )
    if via not in ("onnx", "torch2trt"):
        raise UsageError(f"--via {via}", "no such way to TensorRT", "give onnx or torch2trt")
    if output.exists() and not overwrite:
        raise UsageError(output, "exists", "give another name, or --overwrite")


def _profiles(
    smallest: list[str] | None, best: list[str] | None, largest: list[str] | None
) -> tuple["Profile", ...]:
    from colorcli.engines.engine_file import Profile

    shapes = smallest or SHAPES[:1], best or SHAPES[1:2], largest or SHAPES[2:]
    if len(set(map(len, shapes))) > 1:
        raise UsageError("--min, --opt, --max", "each profile needs all three", "give each as many times")
    return tuple(Profile.parse(*triple) for triple in zip(*shapes, strict=True))


class _BuildProgress:
    """TensorRT's phases as bars on stderr while a person is watching; Ctrl-C ends the build in good order."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, TaskID

        console = Console(stderr=True)
        self._bars = Progress(console=console, disable=not console.is_terminal, transient=True)
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
        # An exception must not pass through TensorRT's own frames: note the signal, and tell it to stop.
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

    title = f"Chroma, {precision} against PyTorch, in code values"
    table = Table("pictures", "size", "largest", "mean", title=title)
    for row in rows:
        pictures, height, width = row.shape
        table.add_row(str(pictures), f"{width}x{height}", f"{row.largest:.2g}", f"{row.mean:.2g}")
    Console().print(table)


def _print_costs(costs: list["Cost"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "CIEDE2000", "colorfulness", "ms per picture", title="What the export costs")
    reference = costs[0]
    for cost in costs:
        table.add_row(
            cost.name,
            f"{cost.ciede2000:.3f} ({cost.ciede2000 / reference.ciede2000 - 1:+.2%})",
            f"{cost.colorfulness:.2f} ({cost.colorfulness / reference.colorfulness - 1:+.2%})",
            f"{cost.milliseconds:.1f}",
        )
    Console().print(table)
