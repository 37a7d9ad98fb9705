"""What an export is asked to do; free of torch, onnx and TensorRT."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from colorcli.engines.engine_file import EngineOptions, RtxOptions
from colorcli.options import DEFAULT_MODEL

Report = Callable[[str, int, int], bool]
"""Receives a build's progress: phase, steps done, total steps. Returning False stops the build."""

CHECKPOINT, PLAN, ONNX = ".safetensors", ".engine", ".onnx"
"""Suffixes of the files that can be made."""


@dataclass(frozen=True)
class ExportRequest:
    """One file to make from a model."""

    source: Path
    """A checkpoint, or an ONNX model in float32."""
    output: Path
    precision: str = "fp32"
    calibrate: Path | None = None
    """Folder of pictures on which the ranges for int8 are measured."""
    engine: EngineOptions | None = None
    """For a TensorRT engine file; None for the other kinds of file."""
    rtx: RtxOptions | None = None
    """For a model compiled for RTX cards; None for the other kinds of file."""
    timing_cache: Path | None = None
    """TensorRT's measurements, kept from build to build."""
    via: str = "onnx"
    """How the network reaches TensorRT: `onnx` or `torch2trt`."""
    device: str = "cuda"
    """GPU on which and for which the engine is built."""
    kind: str = "auto"
    """Family of the model, one of `models.registry.KINDS`."""

    @property
    def for_tensorrt(self) -> bool:
        """Whether TensorRT runs the file made, of either kind."""
        return self.engine is not None or self.rtx is not None

    @property
    def run_device(self) -> str:
        """Device that runs the file made."""
        return self.device if self.engine else "cpu"

    @property
    def command(self) -> str:
        """The command line that repeats this request, for the card of the machine that it is given on."""
        source = "default" if self.source == DEFAULT_MODEL else str(self.source)
        words = ["colorcli", "export", source, "-o", str(self.output), "--overwrite"]
        words += ["--precision", self.precision]
        words += ["--calibrate", str(self.calibrate)] if self.calibrate else []
        words += ["--via", self.via] if self.via != "onnx" else []
        words += ["--model-kind", self.kind] if self.kind != "auto" else []
        if self.engine is not None:
            words += [word for profile in self.engine.profiles for word in str(profile).split()]
            words += ["--version-compatible"] if self.engine.version_compatible else []
            words += ["--hardware-compatible"] if self.engine.hardware_compatible else []
        if self.rtx is not None:
            words += [word for profile in self.rtx.profiles for word in str(profile).split()]
        return shlex.join(words)
