"""Exports a model to the file for a machine, and checks it against its source before it gets its name.

Everything is made from an ONNX file in float32. A checkpoint is exported to one first, which takes PyTorch;
so do bf16 and torch2trt.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from colorcli.engines.builders.graph import metadata_of
from colorcli.engines.builders.half import halve
from colorcli.engines.builders.parity import Parity, compare, default_shapes
from colorcli.engines.builders.request import CHECKPOINT, ONNX, ExportRequest, Report
from colorcli.engines.device import Device
from colorcli.engines.engine_file import (
    KIND_KEY,
    SOURCE_KEY,
    EngineHeader,
    EngineOptions,
    RtxOptions,
    Shape,
    write_engine_file,
)
from colorcli.engines.input_ranges import fitted
from colorcli.engines.plugins import PLUGINS
from colorcli.engines.registry import BACKENDS
from colorcli.errors import InputError, SetupError, UsageError, needs_extra
from colorcli.evaluation.pictures import find_pictures
from colorcli.files import atomic_write
from colorcli.models.native import NativeModel
from colorcli.models.registry import open_model
from colorcli.networks.card import ModelCard
from colorcli.networks.onnx_weights import extract_checkpoint


def export_model(request: ExportRequest, report: Report) -> list[Parity]:
    """Write the file that the request asks for, and measure its differences from the source.

    Returns:
        The differences; none for a checkpoint where PyTorch is not installed, which alone can run it.

    Raises:
        InputError: the source is not a model to export, or a folder holds no pictures.
        SetupError: something needed is missing or fails, or the file gives other colors than its source.
        UsageError: the request contradicts itself.
    """
    if request.engine is not None:
        BACKENDS["tensorrt"].require(request.output)
    with atomic_write(request.output) as partial, TemporaryDirectory() as folder:
        if request.engine is not None:
            _write_engine_file(request, request.engine, partial, Path(folder), report)
        elif request.rtx is not None:
            return _write_rtx(request, request.rtx, partial, Path(folder))
        elif request.output.suffix == CHECKPOINT:
            extract_checkpoint(_float32(request, Path(folder)), partial)
        else:
            _write_onnx(request, partial, Path(folder))
        if request.output.suffix == CHECKPOINT and BACKENDS["torch"].missing:
            return []
        return _check_parity(request, partial)


def _float32(request: ExportRequest, folder: Path) -> Path:
    """The source as ONNX in float32.

    Raises:
        InputError: it is an ONNX file of another precision.
    """
    if request.source.suffix == ONNX:
        with open_model(request.source, "cpu", kinds=request.kind) as opened:
            if opened.card.precision != "fp32":
                cause = f"its weights were rounded to {opened.card.precision} already"
                raise InputError(request.source, cause, "export from the fp32 model, such as `default`")
        return request.source
    with needs_extra(str(request.source), "train"):
        from colorcli.engines.builders.onnx import export_onnx
    model = folder / "float32.onnx"
    export_onnx(request.source, model)
    return model


def _write_onnx(request: ExportRequest, output: Path, folder: Path) -> None:
    if request.precision == "bf16":
        with needs_extra("--precision bf16", "train"):
            from colorcli.engines.builders.onnx import export_onnx
        export_onnx(request.source, output, request.precision)
        return
    model = _float32(request, folder)
    if request.precision == "fp32":
        onnx.save(onnx.load(model), output)  # large models keep their weights in files beside them
    elif request.precision == "fp16":
        halve(model, output)
    else:
        _quantize(request, model, output)
    _write_kind(request, output)


def _write_kind(request: ExportRequest, output: Path) -> None:
    """Write the kind of another project's model into its export, which then needs no `--model-kind`.

    With its digest, by which the source of a compiled model is found again.
    """
    if request.source.suffix != ONNX:
        return
    with open_model(request.source, "cpu", kinds=request.kind) as source:
        known = {KIND_KEY: source.kind, SOURCE_KEY: source.card.digest}
    if known[KIND_KEY] != NativeModel.kind:
        model = onnx.load(output)
        onnx.helper.set_model_props(model, metadata_of(model) | known)
        onnx.save(model, output)


def _quantize(request: ExportRequest, model: Path, output: Path) -> None:
    from colorcli.engines.builders.calibration import calibration_inputs
    from colorcli.engines.builders.quantize import FOR_CPU, FOR_TENSORRT, quantize

    pictures = find_pictures([str(request.calibrate)])
    inputs = calibration_inputs(model, request.kind, pictures)
    quantize(model, output, inputs, settings=FOR_TENSORRT if request.for_tensorrt else FOR_CPU)


def _write_engine_file(
    request: ExportRequest, options: EngineOptions, output: Path, folder: Path, report: Report
) -> None:
    device = Device.parse(request.device)
    if device.kind != "cuda":
        raise UsageError(request.device, "engine files are built on a GPU", "give cuda or cuda:N")
    import tensorrt as trt

    from colorcli.engines.cuda import select_gpu

    # Before anything of TensorRT, which crashes the process where there is no driver.
    gpu = select_gpu(device.index)
    model = folder / "model.onnx"
    _write_onnx(request, model, folder)
    card, kind = _card_and_kind(request, model)
    _check_shapes(options, card)
    options = replace(
        options, profiles=tuple(dict.fromkeys(fitted(model, each) for each in options.profiles))
    )
    serialized = _build(request, options, model, report)
    header = EngineHeader(card, trt.__version__, gpu, options, request.command, len(serialized), kind)
    write_engine_file(output, header, serialized)


def _write_rtx(request: ExportRequest, options: RtxOptions, output: Path, folder: Path) -> list[Parity]:
    """Compile for an RTX card; the differences are those of the ONNX model that is compiled."""
    PLUGINS["rtx"].devices()
    from colorcli.engines.rtx import compile_model

    model = folder / "model.onnx"
    _write_onnx(request, model, folder)
    rows = _check_parity(request, model)
    compile_model(model, output, options, request.command)
    return rows


def _card_and_kind(request: ExportRequest, model: Path) -> tuple[ModelCard, str]:
    """The source's card, at the precision of `model`, and its kind if it is another project's."""
    metadata = metadata_of(onnx.load(model, load_external_data=False))
    if KIND_KEY not in metadata:
        return ModelCard.from_metadata(metadata), ""
    with open_model(request.source, "cpu", kinds=request.kind) as source:
        return replace(source.card, precision=request.precision), source.kind


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
    return build_engine_via_torch2trt(request.source, options, request.precision)


def _check_shapes(options: EngineOptions, card: ModelCard) -> None:
    for profile in options.profiles:
        for _, height, width in (profile.min, profile.opt, profile.max):
            if height % card.multiple_of or width % card.multiple_of:
                remedy = f"give multiples of {card.multiple_of}"
                raise UsageError(str(profile), f"{card.name} does not run at {height}x{width}", remedy)


def _check_parity(request: ExportRequest, exported: Path) -> list[Parity]:
    """Compare the file with its source, on the CPU in float32.

    Raises:
        SetupError: they differ by more than the precision explains.
    """
    with (
        open_model(request.source, "cpu", kinds=request.kind) as reference,
        open_model(exported, request.run_device, kinds=request.kind) as model,
    ):
        shapes = parity_shapes(request.engine) if request.engine else default_shapes(model.card.multiple_of)
        rows = list(compare(reference, model, shapes))
    worst = max(rows, key=lambda row: row.mean)
    if not all(row.within(request.precision) for row in rows):
        cause = (
            f"its {request.precision} export is off by {worst.mean:.2g} code values in the mean "
            f"and {worst.largest:.2g} at most"
        )
        raise SetupError(request.source, cause, "update the runtimes, or try another precision")
    return rows


def parity_shapes(options: EngineOptions) -> list[Shape]:
    """Shapes at which to compare an engine: those it is built for, since smaller ones would be padded."""
    return [
        shape for profile in options.profiles for shape in (profile.min, profile.opt, (1, *profile.max[1:]))
    ]
