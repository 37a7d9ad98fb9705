"""Run by `test_tensorrt.py`, once for each version of the bindings: running engines.

Runtime, engine and context are autospecs of the real classes. The GPU is this process's memory, and
`FakeContext` its network: Cb is luma minus one half, and Cr half of that.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import tensorrt as trt
from cuda.bindings import runtime as cudart
from support.engine_files import ENGINE, LARGER, PROFILE, REBUILD, header
from support.fake_cuda import FakeContext, FakeGpu, fail_after, fake_gpu, stand_in_for_tensorrt

from colorcli.engines import Engine, registry, tensorrt
from colorcli.engines.engine_file import Profile, write_engine_file
from colorcli.engines.onnxruntime import OnnxEngine
from colorcli.errors import SetupError


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    return fake_gpu(monkeypatch)


NATIVE = {"condition": (-1, 4, -1, -1)}, {"chroma": (-1, 2, -1, -1)}


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[FakeContext]:
    made: list[FakeContext] = []
    stand_in_for_tensorrt(*NATIVE, FakeContext, made, monkeypatch)
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
    with registry.open_engine(path) as engine, pytest.raises(SetupError, match="--resume, or give the model"):
        run(engine, random_condition(1, 4, 96, 96))


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
