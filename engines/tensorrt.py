"""TensorRT: runs engine files that `export` built for this model of GPU."""

from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart
from numpy.typing import NDArray

from colorcli.engines.base import DeviceError, Engine, Tensors, TensorSpec
from colorcli.engines.cuda import Buffer, call, select_gpu
from colorcli.engines.device import Device
from colorcli.engines.engine_file import EngineHeader, Profile, read_engine_file
from colorcli.engines.lanes import Lane, run_in_lanes
from colorcli.errors import SetupError

LANES = 2


class TensorrtEngine(Engine):
    """A TensorRT engine; its tensors are [N, C, H, W], with the same N in all, and H and W in all inputs."""

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an engine file. It contains code: open only files from a source you trust.

        Raises:
            SetupError: no GPU, built for another GPU or TensorRT, or not an engine file.
        """
        requested = Device.parse(device)
        if requested.kind in ("cpu", "openvino"):
            raise SetupError(path, "engine files run on GPUs only", "export an .onnx file for the CPU")
        self._header, serialized = read_engine_file(path)
        # Before anything of TensorRT: without a driver, the Runtime below would crash the process.
        gpu = select_gpu(requested.index)
        self._header.check(path, trt.__version__, gpu)
        self._runtime, self._engine = _deserialize(path, self._header, serialized)
        self._lanes: dict[Profile, list[EngineLane]] = {}
        self._path = path
        self.metadata = self._header.metadata
        self.inputs = _specs(self._engine, trt.TensorIOMode.INPUT)
        self.outputs = _specs(self._engine, trt.TensorIOMode.OUTPUT)
        self.device = f"cuda:{requested.index}"

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """See `Engine.run`; inputs smaller than the engine's smallest are padded, outputs cropped back.

        Raises:
            DeviceError: the GPU failed.
            SetupError: the inputs are larger than the engine's largest.
        """
        height, width = next(iter(tensors.values())).shape[2:]
        profile = self._profile(height, width)
        padded = max(height, profile.min[1]), max(width, profile.min[2])
        if padded != (height, width):
            pad = ((0, 0), (0, 0), (0, padded[0] - height), (0, padded[1] - width))
            tensors = {name: np.pad(values, pad, mode="edge") for name, values in tensors.items()}
        try:
            outputs = run_in_lanes(self._lanes_of(profile), tensors, profile.opt[0])
        except DeviceError:  # what the lanes hold may be what is missing
            self.close()
            raise
        # Outputs may be smaller than inputs, as a quarter of their size.
        return {
            name: values[
                :, :, : height * values.shape[2] // padded[0], : width * values.shape[3] // padded[1]
            ]
            for name, values in outputs.items()
        }

    def close(self) -> None:
        for lane in [lane for lanes in self._lanes.values() for lane in lanes]:
            lane.free()
        self._lanes.clear()

    def _profile(self, height: int, width: int) -> Profile:
        """Of the profiles that cover this size, the one with the nearest optimum."""
        fitting = [profile for profile in self._header.options.profiles if profile.covers(height, width)]
        if not fitting:
            cause = f"built for pictures smaller than {width}x{height}"
            remedy = f"give a smaller --size, or a larger --max: {self._header.rebuild}"
            raise SetupError(self._path, cause, remedy)
        return min(fitting, key=lambda profile: abs(profile.opt[1] * profile.opt[2] - height * width))

    def _lanes_of(self, profile: Profile) -> list["EngineLane"]:
        lanes = self._lanes.setdefault(profile, [])
        index = self._header.options.profiles.index(profile)
        while len(lanes) < LANES:
            lanes.append(EngineLane(self._engine, index, profile, self.inputs, self.outputs))
        return lanes


def _deserialize(
    path: Path, header: EngineHeader, serialized: bytes
) -> tuple["trt.Runtime", "trt.ICudaEngine"]:
    """The engine, and the runtime that must outlive it."""
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    # A version-compatible engine contains its own runtime, as code for the host.
    runtime.engine_host_code_allowed = header.options.version_compatible
    engine = runtime.deserialize_cuda_engine(serialized)
    if engine is None:
        raise SetupError(path, "TensorRT cannot read this engine", f"rebuild it: {header.rebuild}")
    return runtime, engine


def _specs(engine: "trt.ICudaEngine", mode: "trt.TensorIOMode") -> tuple[TensorSpec, ...]:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return tuple(_spec(engine, name) for name in names if engine.get_tensor_mode(name) == mode)


def _spec(engine: "trt.ICudaEngine", name: str) -> TensorSpec:
    shape = tuple(None if length < 0 else length for length in engine.get_tensor_shape(name))
    return TensorSpec(name, shape, np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name)


class EngineLane(Lane):
    """An execution context with its stream, and buffers for the profile's largest shape."""

    def __init__(
        self,
        engine: "trt.ICudaEngine",
        index: int,
        profile: Profile,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
    ) -> None:
        self._outputs = outputs
        self._buffers: dict[str, Buffer] = {}
        with ExitStack() as held:
            (self._stream,) = call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
            held.callback(cudart.cudaStreamDestroy, self._stream)
            self._context = engine.create_execution_context()
            if self._context is None or not self._context.set_optimization_profile_async(
                index, int(self._stream)
            ):
                remedy = "free some and continue with --resume, or build with a smaller --max"
                raise DeviceError("TensorRT", "no memory for an execution context", remedy)
            for spec in (*inputs, *outputs):
                buffer = Buffer(prod(profile.max) * (spec.shape[1] or 1), spec.dtype)
                held.callback(buffer.free)
                self._context.set_tensor_address(spec.name, int(buffer.device))
                self._buffers[spec.name] = buffer
            self._held = held.pop_all()

    def start(self, tensors: Tensors) -> None:
        for name, values in tensors.items():
            buffer = self._buffers[name]
            buffer.values[: values.size] = values.ravel()
            buffer.upload(values.size, self._stream)
            self._context.set_input_shape(name, values.shape)
        if not self._context.execute_async_v3(int(self._stream)):
            remedy = "continue with --resume, or export it again"
            shapes = [values.shape for values in tensors.values()]
            raise DeviceError("TensorRT", f"the engine does not run at {shapes}", remedy)
        for spec in self._outputs:
            self._buffers[spec.name].download(prod(self._shape(spec)), self._stream)

    def finish(self) -> Tensors:
        call(cudart.cudaStreamSynchronize(self._stream))
        shapes = {spec.name: self._shape(spec) for spec in self._outputs}
        return {
            name: self._buffers[name].values[: prod(shape)].reshape(shape) for name, shape in shapes.items()
        }

    def _shape(self, spec: TensorSpec) -> tuple[int, ...]:
        """Of an output of what was started."""
        return tuple(self._context.get_tensor_shape(spec.name))

    def free(self) -> None:
        """Free context, buffers and stream."""
        del self._context
        self._held.close()
