"""Exports a checkpoint to the file for a machine, and checks it against PyTorch before it gets its name."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from colorcli import engines
from colorcli.color.condition import condition
from colorcli.color.simulated_hints import simulate_hints
from colorcli.color.ycbcr import ycbcr_from_rgb
from colorcli.engines.builders.onnx import export_onnx
from colorcli.engines.builders.parity import Parity, compare, default_shapes
from colorcli.engines.builders.request import ExportRequest, Report
from colorcli.engines.device import Device
from colorcli.engines.engine_file import EngineHeader, EngineOptions, Shape, write_engine_file
from colorcli.engines.registry import BACKENDS
from colorcli.errors import SetupError, UsageError
from colorcli.evaluation.pictures import central_square, find_pictures, read_picture
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard

CALIBRATION_PICTURES = 128
"""More pictures do not change the ranges."""
SEED = 123


def export_generator(request: ExportRequest, report: Report) -> list[Parity]:
    """Write the file that the request asks for, and measure its differences from PyTorch.

    Raises:
        InputError: the file is not a generator checkpoint, or a folder holds no pictures.
        SetupError: something needed is not installed or fails, or the file gives other colors than PyTorch.
        UsageError: the request contradicts itself.
    """
    with atomic_write(request.output) as partial:
        if request.engine is None:
            card = _write_onnx(request, partial)
        else:
            card = _write_engine_file(request, request.engine, partial, report)
        return _check_parity(request, card, partial)


def _write_onnx(request: ExportRequest, output: Path) -> ModelCard:
    if request.precision != "int8":
        return export_onnx(request.checkpoint, output, request.precision)
    from colorcli.engines.builders.quantize import FOR_CPU, FOR_TENSORRT, quantize

    pictures = find_pictures([str(request.calibrate)])
    with TemporaryDirectory() as folder:
        model = Path(folder) / "fp32.onnx"
        card = export_onnx(request.checkpoint, model)
        conditions = calibration_conditions(pictures, card)
        return quantize(model, output, conditions, settings=FOR_TENSORRT if request.engine else FOR_CPU)


def _write_engine_file(
    request: ExportRequest, options: EngineOptions, output: Path, report: Report
) -> ModelCard:
    device = Device.parse(request.device)
    if device.kind != "cuda":
        raise UsageError(request.device, "engine files are built on a GPU", "give cuda or cuda:N")
    BACKENDS["tensorrt"].require(request.output)
    import tensorrt as trt

    from colorcli.engines.cuda import select_gpu

    # Before anything of TensorRT, which crashes the process where there is no driver.
    gpu = select_gpu(device.index)
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        card = _write_onnx(request, model)
        _check_shapes(options, card)
        serialized = _build(request, options, model, report)
    header = EngineHeader(card, trt.__version__, gpu, options, request.command, len(serialized))
    write_engine_file(output, header, serialized)
    return card


def _build(request: ExportRequest, options: EngineOptions, model: Path, report: Report) -> bytes:
    if request.via == "onnx":
        from colorcli.engines.builders.tensorrt import build_engine

        return build_engine(model, options, timing_cache=request.timing_cache, report=report)
    try:
        from colorcli.engines.builders.torch2trt import build_engine_via_torch2trt
    except (ImportError, AttributeError) as error:  # on TensorRT 11 it uses names that no longer exist
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
                raise UsageError(str(profile), f"{card.name} does not run at {height}x{width}", remedy)


def _check_parity(request: ExportRequest, card: ModelCard, exported: Path) -> list[Parity]:
    """Compare the file with its checkpoint.

    Raises:
        SetupError: they differ by more than the precision explains.
    """
    with (
        engines.open(request.checkpoint, "cpu") as reference,
        engines.open(exported, request.run_device) as engine,
    ):
        shapes = parity_shapes(request.engine) if request.engine else default_shapes(card.multiple_of)
        rows = list(compare(reference, engine, shapes))
    worst = max(rows, key=lambda row: row.mean)
    if not all(row.within(request.precision) for row in rows):
        cause = (
            f"its {request.precision} export is off by {worst.mean:.2g} code values in the mean "
            f"and {worst.largest:.2g} at most"
        )
        raise SetupError(request.checkpoint, cause, "update torch and the runtimes, or try another precision")
    return rows


def parity_shapes(options: EngineOptions) -> list[Shape]:
    """Shapes at which to compare an engine: those it is built for, since smaller ones would be padded."""
    return [
        shape for profile in options.profiles for shape in (profile.min, profile.opt, (1, *profile.max[1:]))
    ]


def calibration_conditions(files: list[Path], card: ModelCard) -> Iterator[NDArray[np.float32]]:
    """Conditions [1, 4, S, S] of some of the pictures, S the working size, hints simulated as in training."""
    rng = np.random.default_rng(SEED)
    size = card.working_size
    for index in rng.permutation(len(files))[:CALIBRATION_PICTURES]:
        rgb = read_picture(files[index], size)
        if rgb is not None:
            luma, chroma = ycbcr_from_rgb(central_square(rgb, size).transpose(2, 0, 1) / np.float32(255))
            yield condition(luma, simulate_hints(chroma, rng))[None]
