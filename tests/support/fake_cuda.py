"""CUDA and TensorRT without a GPU: this process's memory, and a network that takes an engine's place.

Import it only where TensorRT's bindings are, as `tests/engines/test_tensorrt.py` provides them.
"""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest
import tensorrt as trt
from cuda.bindings import runtime as cudart
from support.engine_files import ENGINE, GPU

from colorcli.engines import Engine, cuda, tensorrt


class FakeGpu:
    """CUDA's runtime, with host memory for device memory; it keeps count of what is allocated."""

    cudaGetErrorString = staticmethod(cudart.cudaGetErrorString)
    cudaError_t, cudaMemcpyKind = cudart.cudaError_t, cudart.cudaMemcpyKind
    cudaHostAllocDefault, cudaStreamNonBlocking = cudart.cudaHostAllocDefault, cudart.cudaStreamNonBlocking

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.streams: set[int] = set()
        self.copies = 0

    def _done(self, *values: Any) -> tuple[Any, ...]:
        return (cudart.cudaError_t.cudaSuccess, *values)

    def cudaGetDeviceCount(self) -> Any:
        return self._done(2)

    def cudaSetDevice(self, index: int) -> Any:
        return self._done()

    def cudaGetDeviceProperties(self, index: int) -> Any:
        major, minor = GPU.capability
        return self._done(SimpleNamespace(name=GPU.name.encode(), major=major, minor=minor))

    def cudaMalloc(self, size: int) -> Any:
        buffer = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(buffer)] = buffer
        return self._done(ctypes.addressof(buffer))

    def cudaHostAlloc(self, size: int, flags: int) -> Any:
        return self.cudaMalloc(size)

    def cudaFree(self, address: int) -> Any:
        del self.memory[address]
        return self._done()

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: Any, stream: int) -> Any:
        assert stream in self.streams
        assert size <= min(len(self.memory[target]), len(self.memory[source]))
        self.copies += 1
        ctypes.memmove(target, source, size)
        return self._done()

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        stream = 1000 + len(self.streams)
        self.streams.add(stream)
        return self._done(stream)

    def cudaStreamSynchronize(self, stream: int) -> Any:
        return self._done()

    def cudaStreamDestroy(self, stream: int) -> Any:
        self.streams.remove(stream)
        return self._done()


class FakeContext:
    """An execution context behind its autospec: records its calls and computes the network above."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        """Of the inputs of every run."""
        self.inputs: dict[str, tuple[int, ...]] = {}
        """Shapes."""
        self.addresses: dict[str, int] = {}
        self.profile: int | None = None
        self.spec = create_autospec(trt.IExecutionContext, instance=True, spec_set=True)
        self.spec.set_input_shape.side_effect = self._set_shape
        self.spec.set_tensor_address.side_effect = self.addresses.__setitem__
        self.spec.set_optimization_profile_async.side_effect = self._set_profile
        self.spec.execute_async_v3.side_effect = self._execute
        self.spec.get_tensor_shape.side_effect = lambda name: trt.Dims(self.output_shape())

    def output_shape(self) -> tuple[int, ...]:
        pictures, _, height, width = self.inputs["condition"]
        return pictures, 2, height, width

    def compute(self, inputs: dict[str, Any]) -> Any:
        cb = inputs["condition"][:, 0] - 0.5
        return np.stack([cb, cb / 2], axis=1)

    def _set_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.inputs[name] = shape
        return True

    def _set_profile(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def _execute(self, stream: int) -> bool:
        self.shapes += self.inputs.values()
        inputs = {name: self._tensor(name, shape) for name, shape in self.inputs.items()}
        (output,) = self.addresses.keys() - self.inputs.keys()
        self._tensor(output, self.output_shape())[:] = self.compute(inputs)
        return True

    def _tensor(self, name: str, shape: tuple[int, ...]) -> Any:
        memory = (ctypes.c_float * int(np.prod(shape))).from_address(self.addresses[name])
        return np.ctypeslib.as_array(memory).reshape(shape)


class OnnxContext(FakeContext):
    """One whose network is an ONNX file."""

    def __init__(self, network: Engine) -> None:
        super().__init__()
        self._network = network

    def output_shape(self) -> tuple[int, ...]:
        zeros = {name: np.zeros(shape, np.float32) for name, shape in self.inputs.items()}
        shape: tuple[int, ...] = self.compute(zeros).shape
        return shape

    def compute(self, inputs: dict[str, Any]) -> Any:
        (output,) = self._network.run(inputs).values()
        return output


def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """Let all code find this GPU."""
    made = FakeGpu()
    monkeypatch.setattr(cuda, "cudart", made)
    monkeypatch.setattr(tensorrt, "cudart", made)
    return made


def stand_in_for_tensorrt(
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    make_context: Callable[[], FakeContext],
    made: list[FakeContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let TensorRT read `ENGINE` as a network with tensors of these shapes; its contexts come to `made`."""
    engine = create_autospec(trt.ICudaEngine, instance=True, spec_set=True)
    shapes = inputs | outputs
    engine.num_io_tensors = len(shapes)
    engine.get_tensor_name.side_effect = list(shapes).__getitem__
    modes = {name: trt.TensorIOMode.INPUT if name in inputs else trt.TensorIOMode.OUTPUT for name in shapes}
    engine.get_tensor_mode.side_effect = modes.__getitem__
    engine.get_tensor_shape.side_effect = lambda name: trt.Dims(shapes[name])
    engine.get_tensor_dtype.return_value = trt.float32

    def create_context() -> MagicMock:
        made.append(make_context())
        spec: MagicMock = made[-1].spec
        return spec

    engine.create_execution_context.side_effect = create_context
    runtime = create_autospec(trt.Runtime, instance=True, spec_set=True)
    runtime.deserialize_cuda_engine.side_effect = lambda serialized: engine if serialized == ENGINE else None
    monkeypatch.setattr(trt, "Runtime", lambda logger: runtime)


def fail_after(gpu: FakeGpu, call: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of CUDA's runtime fail from some time on."""
    working, left = getattr(gpu, call), iter(range(calls))

    def failing(*arguments: Any) -> Any:
        if next(left, None) is None:
            return (cudart.cudaError_t.cudaErrorMemoryAllocation, None)
        return working(*arguments)

    monkeypatch.setattr(gpu, call, failing)
