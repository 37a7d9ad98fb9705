"""A checkpoint to a file for the machine that runs it, checked against PyTorch before it gets its name."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from colorcli import engines
from colorcli.color.condition import condition
from colorcli.color.ycbcr import ycbcr_from_rgb
from colorcli.colorizer.predictor import Colorizer
from colorcli.engines.builders.onnx import export_onnx
from colorcli.engines.builders.parity import Parity, Shape, compare
from colorcli.engines.device import Device
from colorcli.engines.engine_file import EngineHeader, EngineOptions, Report, write_engine
from colorcli.engines.registry import BACKENDS
from colorcli.engines.timing import milliseconds
from colorcli.errors import SetupError, UsageError
from colorcli.evaluation.evaluate import evaluate_colorizer
from colorcli.files import atomic_write
from colorcli.models.card import ModelCard
from colorcli.train.pictures import find_pictures, read_picture
from colorcli.train.simulated_hints import simulate_hints
from colorcli.train.validate import central_square

CALIBRATION_PICTURES = 128
"""More move the ranges no further."""
SEED = 123


@dataclass(frozen=True)
class ExportRequest:
    checkpoint: Path
    output: Path
    precision: str = "fp32"
    calibrate: Path | None = None
    """Folder of pictures on which int8 ranges are measured."""
    plan: EngineOptions | None = None
    """For a TensorRT plan; None makes an ONNX file."""
    timing_cache: Path | None = None
    via: str = "onnx"
    device: str = "cuda"
    """GPU that the plan is built on and for."""

    @property
    def command(self) -> str:
        """The command line that makes this request again."""
        words = ["colorcli", "export", str(self.checkpoint), "-o", str(self.output), "--overwrite"]
        words += ["--precision", self.precision]
        words += ["--calibrate", str(self.calibrate)] if self.calibrate else []
        words += ["--via", self.via] if self.via != "onnx" else []
        if self.plan is not None:
            words += [word for profile in self.plan.profiles for word in str(profile).split()]
            words += ["--version-compatible"] if self.plan.version_compatible else []
            words += ["--hardware-compatible"] if self.plan.hardware_compatible else []
        return shlex.join(words)


def export_generator(request: ExportRequest, report: Report) -> list[Parity]:
    """Write the file the request asks for; give how far it is from PyTorch.

    Args:
        report: told of TensorRT's progress.

    Raises:
        InputError: not a generator's checkpoint, or a folder without pictures.
        SetupError: something needed is not installed or fails, or the file gives other colors than PyTorch.
        UsageError: the request makes no sense.
    """
    with atomic_write(request.output) as partial:
        if request.plan is None:
            _write_onnx(request, partial)
        else:
            _write_plan(request, request.plan, partial, report)
        return _checked(request, partial)


def _write_onnx(request: ExportRequest, output: Path) -> ModelCard:
    if request.precision != "int8":
        return export_onnx(request.checkpoint, output, request.precision)
    from colorcli.engines.builders.quantize import FOR_CPU, FOR_TENSORRT, quantize

    pictures = find_pictures([str(request.calibrate)])
    with TemporaryDirectory() as folder:
        model = Path(folder) / "fp32.onnx"
        card = export_onnx(request.checkpoint, model)
        conditions = calibration_conditions(pictures, card)
        return quantize(model, output, conditions, recipe=FOR_TENSORRT if request.plan else FOR_CPU)


def _write_plan(request: ExportRequest, options: EngineOptions, output: Path, report: Report) -> None:
    device = Device.parse(request.device)
    if device.kind != "cuda":
        raise UsageError(request.device, "plans are built on a GPU", "give cuda or cuda:N")
    BACKENDS["tensorrt"].require(request.output)
    import tensorrt as trt

    from colorcli.engines.cuda import select_gpu

    # First of all, for without a driver TensorRT crashes the process.
    gpu = select_gpu(device.index)
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        card = _write_onnx(request, model)
        _check_shapes(options, card)
        plan = _build(request, options, model, report)
    write_engine(output, EngineHeader(card, trt.__version__, gpu, options, request.command, len(plan)), plan)


def _build(request: ExportRequest, options: EngineOptions, model: Path, report: Report) -> bytes:
    if request.via == "onnx":
        from colorcli.engines.builders.tensorrt import build_engine

        return build_engine(model, options, timing_cache=request.timing_cache, report=report)
    try:
        from colorcli.engines.builders.torch2trt import build_engine_via_torch2trt
    except (ImportError, AttributeError) as error:  # on TensorRT 11 it looks for what is no longer there
        cause = f"torch2trt does not start ({error})"
        raise SetupError(
            "--via torch2trt", cause, "install it beside TensorRT 10, or leave out --via"
        ) from error
    return build_engine_via_torch2trt(request.checkpoint, options, request.precision)


def _check_shapes(options: EngineOptions, card: ModelCard) -> None:
    for profile in options.profiles:
        for _, height, width in (profile.min, profile.opt, profile.max):
            if height % card.multiple_of or width % card.multiple_of:
                remedy = f"give multiples of {card.multiple_of}"
                raise UsageError(str(profile), f"{card.name} takes no {height}x{width}", remedy)


def _checked(request: ExportRequest, made: Path) -> list[Parity]:
    """How far the file is from its checkpoint.

    Raises:
        SetupError: further than its precision explains.
    """
    with engines.open(request.checkpoint, "cpu") as reference, engines.open(made, _device(request)) as engine:
        rows = list(compare(reference, engine, _shapes(request.plan)))
    worst = max(rows, key=lambda row: row.mean)
    if not all(row.within(request.precision) for row in rows):
        cause = (
            f"its {request.precision} export is off by {worst.mean:.2g} code values in the mean "
            f"and {worst.largest:.2g} at most"
        )
        raise SetupError(request.checkpoint, cause, "update torch and the runtimes, or try another precision")
    return rows


def _shapes(plan: EngineOptions | None) -> list[Shape]:
    """What to compare at: for a plan what it was built for, as smaller pictures would be padded."""
    if plan is None:
        return []
    return [shape for one in plan.profiles for shape in (one.min, one.opt, (1, *one.max[1:]))]


def _device(request: ExportRequest) -> str:
    return request.device if request.plan else "cpu"


def calibration_conditions(files: list[Path], card: ModelCard) -> Iterator[NDArray[np.float32]]:
    """Conditions [1, 4, S, S] of some of the pictures, S the working size, hints simulated as in training."""
    rng = np.random.default_rng(SEED)
    size = card.working_size
    for index in rng.permutation(len(files))[:CALIBRATION_PICTURES]:
        rgb = read_picture(files[index], size)
        if rgb is not None:
            luma, chroma = ycbcr_from_rgb(central_square(rgb, size).transpose(2, 0, 1) / np.float32(255))
            yield condition(luma, simulate_hints(chroma, rng))[None]


@dataclass(frozen=True)
class Cost:
    """What one way of running a generator scores, and what it takes."""

    name: str
    ciede2000: float
    colorfulness: float
    milliseconds: float
    """For one picture at the working size, median."""


def measure_costs(request: ExportRequest, folder: Path) -> list[Cost]:
    """The checkpoint in PyTorch and the file made of it, on a folder's color pictures.

    Raises:
        InputError: no such folder, or no usable picture in it.
    """
    files = find_pictures([str(folder)])
    costs = []
    for path, device in ((request.checkpoint, "cpu"), (request.output, _device(request))):
        with engines.open(path, device) as engine:
            scores = evaluate_colorizer(Colorizer(engine), files).colorized.scores
            name = f"{path.name}, {engine.card.precision}, {engine.device}"
            costs.append(Cost(name, scores.ciede2000, scores.colorfulness, milliseconds(engine)))
    return costs
