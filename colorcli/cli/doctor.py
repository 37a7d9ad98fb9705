"""`colorcli doctor`: reports what is installed and what is missing, and measures this machine's speed."""

import json as json_format
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from colorcli.cli.parameters import with_options
from colorcli.errors import ColorcliError, ExitCode, install_command
from colorcli.options import DEFAULT_MODELS, NO_KINDS, Flag, Json, ModelFiles, ModelKinds

EXTRAS = {
    "heic": ("pillow_heif", "HEIC images"),
    "raw": ("rawpy", "camera raw and DNG"),
    "pdf": ("pikepdf", "pictures inside of PDFs"),
    "cluster": ("ray", "--cluster"),
    "imagenet": ("torchvision", "training from ImageNet's weights"),
    "storage": ("fsspec", "s3://, gs:// and other storage"),
}
"""Extra -> the module that it brings, and what for; those of engines are in their own tables."""


@dataclass(frozen=True)
class Finding:
    """One part of the installation."""

    what: str
    state: str
    """`ok`, `missing` (optional) or `broken` (nothing works without it)."""
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Speed:
    """The time that a network takes in one backend on one device."""

    model: str
    """Name of its file."""
    backend: str
    device: str
    milliseconds: float
    """For a batch of one image of the model's working size."""
    batch_milliseconds: float
    """For each image in a batch of eight."""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that `doctor` reports."""

    findings: list[Finding]
    speeds: list[Speed]
    advice: list[str]


@with_options
def doctor(
    model: ModelFiles = DEFAULT_MODELS,
    model_kind: ModelKinds = NO_KINDS,
    again: Annotated[bool, Flag("Forget which device is the fastest, and measure again.")] = False,
    json: Json = False,
) -> None:
    """Report what is installed and what is missing, measure this machine, and suggest faster setups."""
    if again:
        from colorcli.engines.choice import forget

        forget()
    diagnosis = examine(model, model_kind)
    if json:
        typer.echo(json_format.dumps(asdict(diagnosis), ensure_ascii=False))
    else:
        _print(diagnosis)
    broken = any(finding.state == "broken" for finding in diagnosis.findings)
    sys.exit(ExitCode.SETUP if broken else ExitCode.OK)


def examine(models: Sequence[Path], kinds: Sequence[str] = ()) -> Diagnosis:
    """Check the installation, and time each model file in every backend that opens it.

    Raises:
        UsageError: the weights or the number of kinds are wrong.
    """
    from colorcli.models.registry import paired

    found = Diagnosis([_machine(), _ffmpeg(), *_backends(), *_plugins(), *_extras(), *_gpus()], [], [])
    for path, _, kind in paired(models, kinds):
        _examine_model(path, kind, found)
    return replace(found, advice=list(dict.fromkeys(found.advice)))


def _examine_model(path: Path, kind: str, found: Diagnosis) -> None:
    """Add what is found about a model file."""
    from colorcli.models import open_model

    try:
        with open_model(path, kinds=kind) as opened:
            card, is_own, device = opened.card, opened.kind == "colorcli", opened.device
    except ColorcliError as error:
        found.findings.append(Finding("model", "broken", f"{error.subject}: {error.cause}", error.remedy))
        return
    detail = f"{card.name} {card.version}, {card.precision}, working size {card.working_size} pixels, {path}"
    found.findings.append(Finding("model", "ok", detail))
    found.findings.append(Finding("--device auto", "ok", f"takes {device} for this model"))
    speeds = list(_speeds(path, card.working_size))
    found.speeds.extend(speeds)
    found.advice.extend(_advice(path, card.precision if is_own else "", speeds))


def _machine() -> Finding:
    from colorcli.engines.device import cpu_threads

    cores = f"{cpu_threads()} of {os.cpu_count()} cores available"
    detail = f"{platform.system()} {platform.machine()}, {cores}, Python {platform.python_version()}"
    return Finding("machine", "ok", detail)


def _ffmpeg() -> Finding:
    from colorcli.video.ffmpeg import find_ffmpeg, version_line

    try:
        return Finding("ffmpeg", "ok", f"{' '.join(version_line().split()[:3])}, {find_ffmpeg()}")
    except ColorcliError as error:
        return Finding("ffmpeg", "broken", error.cause, error.remedy)


def _backends() -> Iterator[Finding]:
    """Only ONNX Runtime is required: it runs the built-in model."""
    from colorcli.engines.registry import BACKENDS

    for backend in BACKENDS.values():
        kind = f"runs {backend.suffix} files"
        if backend.missing:
            state = "broken" if backend.name == "onnxruntime" else "missing"
            detail = f"{' and '.join(backend.missing)} not installed; {kind}"
            yield Finding(backend.name, state, detail, backend.install)
        else:
            yield Finding(backend.name, "ok", f"{_version(backend.needs[0])}, {kind}")


def _extras() -> Iterator[Finding]:
    for extra, (module, purpose) in EXTRAS.items():
        if find_spec(module) is None:
            detail = f"{module} not installed; {purpose}"
            yield Finding(extra, "missing", detail, install_command(extra))
        else:
            yield Finding(extra, "ok", f"{_version(module)}, {purpose}")


def _version(module: str) -> str:
    """Name and version of the distribution that a module belongs to, such as `onnxruntime-gpu`."""
    distributions = packages_distributions().get(module, [])
    return ", ".join(f"{name} {version(name)}" for name in dict.fromkeys(distributions))


def _plugins() -> Iterator[Finding]:
    """The plugins of ONNX Runtime for GPUs."""
    from colorcli.engines.plugins import PLUGINS

    for plugin in PLUGINS.values():
        try:
            count = len(plugin.devices())
            yield Finding(plugin.device, "ok", f"{_version(plugin.module)}, runs on {count} GPUs here")
        except ColorcliError as error:
            yield Finding(plugin.device, "missing", error.cause, error.remedy)


def _gpus() -> Iterator[Finding]:
    """Every GPU, and what runs on it or would."""
    from colorcli.engines.gpus import find_gpus, software_adapters, usable_devices

    for gpu in find_gpus():
        if devices := ", ".join(usable_devices(gpu)):
            yield Finding(gpu.name, "ok", f"usable as --device {devices}")
        else:
            yield Finding(gpu.name, "missing", "nothing that is installed here runs on it", gpu.install)
    for name in software_adapters():
        yield Finding(name, "ok", "Vulkan in software, on the CPU: --device auto never takes it")


def _speeds(model: Path, size: int) -> Iterator[Speed]:
    """Time every installed backend that opens this file, on every device it has."""
    from colorcli.engines.gpus import candidates
    from colorcli.engines.registry import backends_for
    from colorcli.engines.timing import milliseconds

    devices = ["cpu", *map(str, candidates())]

    for backend in backends_for(model):
        if backend.missing:
            continue
        for device in devices if backend.name == "onnxruntime" else ("cpu", "cuda"):
            try:
                with backend.open(model, device) as engine:
                    single = milliseconds(engine, size=size)
                    batch = engine.inputs[0].shape[0] or 8
                    batched = milliseconds(engine, size=size, batch=batch, calls=5) / batch
            except ColorcliError:  # it has no such device
                continue
            yield Speed(model.name, backend.name, engine.device, single, batched)


def _advice(model: Path, precision: str, speeds: list[Speed]) -> Iterator[str]:
    """`precision`: of a model that `colorcli export` can make; empty for others."""
    from colorcli.engines.registry import BACKENDS

    on_gpu = any(speed.device != "cpu" for speed in speeds)
    if model.suffix == ".onnx" and BACKENDS["openvino"].missing and not on_gpu:
        install = BACKENDS["openvino"].install
        yield f"OpenVINO runs the same file faster on some CPUs; to measure it here: {install}"
    times = {speed.backend: speed.milliseconds for speed in speeds if speed.device == "cpu"}
    if times.get("openvino", inf) < times.get("onnxruntime", inf) and not on_gpu:
        yield "OpenVINO is faster here: use --device openvino"
    if precision == "fp32" and not on_gpu:
        yield (
            "An int8 model is about a sixth faster on CPUs, and loses little color: "
            "colorcli export MODEL -o int8.onnx --precision int8 --calibrate PICTURES"
        )


def _print(diagnosis: Diagnosis) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(markup=False, highlight=False)  # `[train]` in `colorcli[train]` is not markup
    detail = Column("", overflow="fold")  # paths stay whole
    found = Table("", "", detail, title="Found", title_justify="left", show_header=False)
    for finding in diagnosis.findings:
        found.add_row(finding.what, finding.state, finding.detail)
    console.print(found)
    for finding in diagnosis.findings:
        if finding.remedy:
            console.print(f"- {finding.what}: {finding.remedy}", soft_wrap=True)
    if diagnosis.speeds:
        table = Table("model", "backend", "device", title="Speed of the network alone", title_justify="left")
        table.add_column("one image, ms", justify="right")
        table.add_column("in a batch of 8, ms each", justify="right")
        for speed in diagnosis.speeds:
            times = f"{speed.milliseconds:.1f}", f"{speed.batch_milliseconds:.1f}"
            table.add_row(speed.model, speed.backend, speed.device, *times)
        console.print(table)
    for line in diagnosis.advice:
        console.print(f"- {line}", soft_wrap=True)
