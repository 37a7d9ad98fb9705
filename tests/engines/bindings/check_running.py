"""Run by `test_tensorrt.py`, once for each version of the bindings: running engines.

Runtime, engine and context are autospecs of the real classes. The GPU is this process's memory, and
`FakeContext` its network: Cb is luma minus one half, and Cr half of that.
"""

import ctypes
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest
import tensorrt as trt
from cuda.bindings import runtime as cudart
from support.engine_files import ENGINE, GPU, LARGER, PROFILE, REBUILD, header

from colorcli.engines import Engine, cuda, registry, tensorrt
from colorcli.engines.engine_file import Profile, write_engine_file
from colorcli.engines.onnxruntime import OnnxEngine
from colorcli.errors import SetupError


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
        self._shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.profile: int | None = None
        self.spec = create_autospec(trt.IExecutionContext, instance=True, spec_set=True)
        self.spec.set_input_shape.side_effect = self._set_shape
        self.spec.set_tensor_address.side_effect = self.addresses.__setitem__
        self.spec.set_optimization_profile_async.side_effect = self._set_profile
        self.spec.execute_async_v3.side_effect = self._execute

    def _set_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = shape
        return True

    def _set_profile(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def _execute(self, stream: int) -> bool:
        self.shapes.append(self._shape)
        pictures, channels, height, width = self._shape
        condition = self._tensor("condition", (pictures, channels, height, width))
        chroma = self._tensor("chroma", (pictures, 2, height, width))
        chroma[:, 0], chroma[:, 1] = condition[:, 0] - 0.5, (condition[:, 0] - 0.5) / 2
        return True

    def _tensor(self, name: str, shape: tuple[int, ...]) -> Any:
        memory = (ctypes.c_float * int(np.prod(shape))).from_address(self.addresses[name])
        return np.ctypeslib.as_array(memory).reshape(shape)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    made = FakeGpu()
    monkeypatch.setattr(cuda, "cudart", made)
    monkeypatch.setattr(tensorrt, "cudart", made)
    return made


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[FakeContext]:
    made: list[FakeContext] = []
    engine = create_autospec(trt.ICudaEngine, instance=True, spec_set=True)
    engine.num_io_tensors = 2
    engine.get_tensor_name.side_effect = ("condition", "chroma").__getitem__
    modes = {"condition": trt.TensorIOMode.INPUT, "chroma": trt.TensorIOMode.OUTPUT}
    engine.get_tensor_mode.side_effect = modes.__getitem__
    shapes = {"condition": trt.Dims4(-1, 4, -1, -1), "chroma": trt.Dims4(-1, 2, -1, -1)}
    engine.get_tensor_shape.side_effect = shapes.__getitem__
    engine.get_tensor_dtype.return_value = trt.float32

    def create_context() -> MagicMock:
        made.append(FakeContext())
        spec: MagicMock = made[-1].spec
        return spec

    engine.create_execution_context.side_effect = create_context
    runtime = create_autospec(trt.Runtime, instance=True, spec_set=True)
    runtime.deserialize_cuda_engine.side_effect = lambda serialized: engine if serialized == ENGINE else None
    monkeypatch.setattr(trt, "Runtime", lambda logger: runtime)
    return made


def opened(tmp_path: Path, *profiles: Profile) -> tensorrt.TensorrtEngine:
    path = tmp_path / "model.engine"
    write_engine_file(path, header(trt.__version__, *profiles), ENGINE)
    return tensorrt.TensorrtEngine(path, "cuda:1")


def run(engine: Engine, condition: Any) -> Any:
    return engine.run({"condition": condition})["chroma"]


def random_condition(*shape: int) -> Any:
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("pictures", [1, 2, 3, 7])
def test_batches_run_in_pieces(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path, pictures: int
) -> None:
    condition = random_condition(pictures, 4, 96, 128)
    with opened(tmp_path) as engine:
        assert engine.device == "cuda:1"
        chroma = run(engine, condition)
        np.testing.assert_array_equal(chroma[:, 0], condition[:, 0] - 0.5)
        np.testing.assert_array_equal(chroma[:, 1], (condition[:, 0] - 0.5) / 2)
    sizes = [shape[0] for context in contexts for shape in context.shapes]
    assert sum(sizes) == pictures
    assert max(sizes) <= PROFILE.opt[0]


def test_buffers_are_allocated_once_and_freed_on_close(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    with opened(tmp_path) as engine:
        run(engine, random_condition(3, 4, 64, 64))
        allocated = set(gpu.memory)
        run(engine, random_condition(7, 4, 128, 128))
        assert set(gpu.memory) == allocated
    assert not gpu.memory
    assert not gpu.streams


def test_pictures_smaller_than_the_smallest_are_padded_and_cropped(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    condition = random_condition(1, 4, 32, 96)
    with opened(tmp_path) as engine:
        chroma = run(engine, condition)
    assert chroma.shape == (1, 2, 32, 96)
    np.testing.assert_array_equal(chroma[:, 0], condition[:, 0] - 0.5)
    assert contexts[0].shapes == [(1, 4, 64, 96)]


def test_the_profile_with_the_nearest_optimum_is_used(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    with opened(tmp_path, PROFILE, LARGER) as engine:
        run(engine, random_condition(1, 4, 256, 224))
        assert {context.profile for context in contexts} == {1}
        run(engine, random_condition(1, 4, 96, 96))
    assert {context.profile for context in contexts} == {0, 1}


def test_pictures_larger_than_every_profile_are_refused_with_the_remedy(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    with opened(tmp_path) as engine, pytest.raises(SetupError, match=REBUILD):
        run(engine, random_condition(1, 4, 160, 64))


def test_a_gpu_beyond_the_last_is_refused(gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path) -> None:
    path = tmp_path / "model.engine"
    write_engine_file(path, header(trt.__version__), ENGINE)
    with pytest.raises(SetupError, match="cuda:2"):
        tensorrt.TensorrtEngine(path, "cuda:2")
    with pytest.raises(SetupError, match="GPUs only"):
        tensorrt.TensorrtEngine(path, "cpu")


def test_another_version_is_refused_before_a_runtime_is_made(
    gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "Runtime", MagicMock(side_effect=AssertionError))
    path = tmp_path / "model.engine"
    write_engine_file(path, header("9.3.0.1"), ENGINE)
    with pytest.raises(SetupError, match=REBUILD):
        tensorrt.TensorrtEngine(path)


def test_an_engine_that_tensorrt_cannot_read_is_refused(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    path = tmp_path / "model.engine"
    write_engine_file(path, header(trt.__version__), ENGINE[::-1])
    with pytest.raises(SetupError, match=REBUILD):
        tensorrt.TensorrtEngine(path)


# A GPU that fails


@pytest.mark.parametrize(
    ("call", "calls"), [("cudaMalloc", 2), ("cudaHostAlloc", 1), ("cudaStreamSynchronize", 0)]
)
def test_what_a_gpu_cannot_do_the_cpu_does(
    gpu: FakeGpu,
    contexts: list[FakeContext],
    toy_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    calls: int,
) -> None:
    """Out of memory or lost: the engine's source takes over, and the GPU's memory is free."""
    fail_after(gpu, call, calls, monkeypatch)
    condition = random_condition(3, 4, 96, 128)
    with registry.open_engine(made_of(toy_model, tmp_path)) as engine:
        chroma = run(engine, condition)
        assert engine.device == "cpu"
        assert "cuda:0 failed; on the CPU from here on" in engine.take_note()
        assert not gpu.memory
        assert not gpu.streams
    with OnnxEngine(toy_model, "cpu") as reference:
        np.testing.assert_array_equal(chroma, run(reference, condition))


def test_a_gpu_that_was_named_fails_instead(
    gpu: FakeGpu,
    contexts: list[FakeContext],
    toy_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_after(gpu, "cudaStreamSynchronize", 0, monkeypatch)
    with (
        registry.open_engine(made_of(toy_model, tmp_path), "cuda") as engine,
        pytest.raises(SetupError, match="--resume"),
    ):
        run(engine, random_condition(1, 4, 96, 96))


def test_an_engine_whose_source_is_gone_or_another_fails_instead(
    gpu: FakeGpu,
    contexts: list[FakeContext],
    toy_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_after(gpu, "cudaStreamSynchronize", 0, monkeypatch)
    path = made_of(toy_model, tmp_path, digest="1" * 64)
    with registry.open_engine(path) as engine, pytest.raises(SetupError, match="--resume"):
        run(engine, random_condition(1, 4, 96, 96))


def fail_after(gpu: FakeGpu, call: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of CUDA's runtime fail from some time on."""
    working, left = getattr(gpu, call), iter(range(calls))

    def failing(*arguments: Any) -> Any:
        if next(left, None) is None:
            return (cudart.cudaError_t.cudaErrorMemoryAllocation, None)
        return working(*arguments)

    monkeypatch.setattr(gpu, call, failing)


def made_of(source: Path, tmp_path: Path, digest: str = "0" * 64) -> Path:
    """An engine file that was built of a model with this digest."""
    path = tmp_path / "model.engine"
    made = header(trt.__version__)
    command = f"colorcli export {source} -o model.engine"
    write_engine_file(path, replace(made, rebuild=command, card=replace(made.card, digest=digest)), ENGINE)
    return path


def test_cuda_accepts_the_arguments() -> None:
    """The real binding: without a GPU it answers with an error, to wrong arguments it would raise."""
    kinds = cudart.cudaMemcpyKind
    for answer in (
        cudart.cudaMalloc(16),
        cudart.cudaHostAlloc(16, cudart.cudaHostAllocDefault),
        cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking),
        cudart.cudaMemcpyAsync(0, 0, 0, kinds.cudaMemcpyHostToDevice, cudart.cudaStream_t(0)),
        cudart.cudaMemcpyAsync(0, 0, 0, kinds.cudaMemcpyDeviceToHost, cudart.cudaStream_t(0)),
        cudart.cudaFree(0),
        cudart.cudaFreeHost(0),
    ):
        assert isinstance(answer[0], cudart.cudaError_t)
