"""Builds a TensorRT engine from an ONNX file, with TensorRT 10 or 11.

The network is strongly typed: the ONNX file defines the precision of every layer, so that the engine computes
what was checked. TensorRT 11 supports nothing else.
"""

from pathlib import Path

import tensorrt as trt

from colorcli.engines.builders.request import Report
from colorcli.engines.engine_file import EngineOptions
from colorcli.engines.input_ranges import input_ranges
from colorcli.errors import InputError, SetupError

WORKSPACE = 4 << 30
"""GPU memory in bytes that a layer's algorithm may take: enough for every convolution at 1024x1024."""


def build_engine(
    model: Path, options: EngineOptions, *, timing_cache: Path | None = None, report: Report
) -> bytes:
    """Build an engine and return it serialized. Call `cuda.select_gpu` first: without a GPU it crashes.

    Args:
        timing_cache: file that keeps measurements; the next build takes a fraction of the time.

    Raises:
        InputError: TensorRT cannot read the model.
        SetupError: the build failed.
    """
    logger = _Logger()
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # the bindings' way to say that creation failed
        cause = f"TensorRT {trt.__version__} does not start ({logger.last_error})"
        raise SetupError(model, cause, "check that its libraries fit the driver") from error
    # By name, because the flag is bit 1 in TensorRT 10 and bit 0 in 11.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model)):
        errors = "; ".join(parser.get_error(index).desc() for index in range(parser.num_errors))
        raise InputError(model, f"TensorRT cannot read it ({errors})", "update TensorRT")
    config = _configure(builder, model, options)
    config.progress_monitor = _Progress(report)
    if timing_cache is not None:
        known = timing_cache.read_bytes() if timing_cache.exists() else b""
        config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        cause = f"TensorRT built no engine ({logger.last_error})"
        raise SetupError(model, cause, "lower --max, or free GPU memory")
    if timing_cache is not None:
        timing_cache.write_bytes(bytes(memoryview(config.get_timing_cache().serialize())))
    return bytes(memoryview(serialized))


def _configure(builder: "trt.Builder", model: Path, options: EngineOptions) -> "trt.IBuilderConfig":
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    # By default TensorRT rounds float32 factors to 10 bits (TF32); fp16 is there for fewer bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    for profile in options.profiles:
        ranges = input_ranges(model, profile)
        if not ranges:  # every shape is fixed
            break
        shapes = builder.create_optimization_profile()
        for name, (low, best, high) in ranges.items():
            shapes.set_shape(name, low, best, high)
        if config.add_optimization_profile(shapes) < 0:
            raise SetupError("TensorRT", f"refuses the shapes {profile}", "min <= opt <= max must hold")
    return config


class _Logger(trt.ILogger):  # type: ignore[misc]
    """Keeps the last error message, which the default logger would only print."""

    def __init__(self) -> None:
        super().__init__()
        self.last_error = "no reason given"

    def log(self, severity: "trt.ILogger.Severity", message: str) -> None:
        if severity <= trt.ILogger.ERROR:
            self.last_error = message


class _Progress(trt.IProgressMonitor):  # type: ignore[misc]
    """Passes TensorRT's progress to `report`."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report
        self._steps: dict[str, int] = {}

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self._steps[phase_name] = num_steps
        self._report(phase_name, 0, num_steps)

    def step_complete(self, phase_name: str, step: int) -> bool:
        return self._report(phase_name, step + 1, self._steps[phase_name])

    def phase_finish(self, phase_name: str) -> None:
        steps = self._steps.pop(phase_name)
        self._report(phase_name, steps, steps)
