"""Run by `test_tensorrt.py`, once for each version of the bindings.

Builder, parser and runtime are autospecs of the real classes: what a version does not know raises. The GPU is
this process's memory, and `FakeContext` its network: chroma is luma minus one half, and half of that.
"""

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest
import tensorrt as trt
from cuda.bindings import runtime as cudart

from colorcli.core.card import ModelCard
from colorcli.core.errors import InputError, SetupError, UsageError
from colorcli.engines import cuda, tensorrt, tensorrt_export
from colorcli.engines.plan_file import Gpu, PlanHeader, PlanOptions, Profile, write_plan

PROFILE = Profile((1, 64, 64), (2, 96, 96), (4, 128, 128))
LARGER = Profile((1, 64, 64), (1, 256, 256), (1, 256, 256))
ONE_PROFILE = PlanOptions((PROFILE,))
GPU = Gpu("NVIDIA H200", (9, 0))
REBUILD = "colorcli export generator.safetensors -o model.engine"
PLAN = b"a plan"


def test_these_are_the_bindings_asked_for() -> None:
    assert trt.__version__.split(".")[0] == os.environ["TENSORRT_MAJOR"]


# Building


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    made: MagicMock = create_autospec(trt.Builder, instance=True, spec_set=True)
    made.create_network.return_value = create_autospec(trt.INetworkDefinition, instance=True, spec_set=True)
    config = create_autospec(trt.IBuilderConfig, instance=True, spec_set=True)
    config.add_optimization_profile.return_value = 0
    config.get_timing_cache.return_value.serialize.return_value = b"new measurements"
    made.create_builder_config.return_value = config
    made.create_optimization_profile.side_effect = lambda: create_autospec(
        trt.IOptimizationProfile, instance=True, spec_set=True
    )
    made.build_serialized_network.return_value = PLAN
    monkeypatch.setattr(trt, "Builder", lambda logger: made)
    return made


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    made: MagicMock = create_autospec(trt.OnnxParser, instance=True, spec_set=True)
    made.parse_from_file.return_value = True
    monkeypatch.setattr(trt, "OnnxParser", lambda network, logger: made)
    return made


def build(options: PlanOptions = ONE_PROFILE, **more: Any) -> bytes:
    more.setdefault("report", lambda phase, done, steps: True)
    return tensorrt_export.build_plan(Path("model.onnx"), options, **more)


def test_the_network_is_strongly_typed(builder: MagicMock, parser: MagicMock) -> None:
    assert build() == PLAN
    (flags,) = builder.create_network.call_args.args
    assert flags == 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert flags == {"10": 2, "11": 1}[os.environ["TENSORRT_MAJOR"]]


def test_every_profile_is_added_with_its_shapes(builder: MagicMock, parser: MagicMock) -> None:
    build(PlanOptions((PROFILE, LARGER)))
    config = builder.create_builder_config()
    added = [call.args[0] for call in config.add_optimization_profile.call_args_list]
    assert [profile.set_shape.call_args.args for profile in added] == [
        ("condition", (1, 4, 64, 64), (2, 4, 96, 96), (4, 4, 128, 128)),
        ("condition", (1, 4, 64, 64), (1, 4, 256, 256), (1, 4, 256, 256)),
    ]


def test_float32_is_not_rounded_on_the_way(builder: MagicMock, parser: MagicMock) -> None:
    build()
    builder.create_builder_config().clear_flag.assert_called_once_with(trt.BuilderFlag.TF32)


def test_a_plan_is_compared_at_shapes_it_was_built_for() -> None:
    from colorcli.exporting import _shapes

    assert _shapes(ONE_PROFILE) == [PROFILE.min, PROFILE.opt, (1, 128, 128)]


def test_compatibility_is_asked_for_only_when_wanted(builder: MagicMock, parser: MagicMock) -> None:
    config = builder.create_builder_config()
    build()
    config.set_flag.assert_not_called()
    build(PlanOptions((PROFILE,), version_compatible=True, hardware_compatible=True))
    config.set_flag.assert_called_once_with(trt.BuilderFlag.VERSION_COMPATIBLE)
    assert config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS


def test_what_is_assigned_may_be_assigned() -> None:
    """Autospecs do not notice properties without a setter."""
    for name in ("progress_monitor", "hardware_compatibility_level"):
        assert getattr(trt.IBuilderConfig, name).fset is not None
    assert trt.Runtime.engine_host_code_allowed.fset is not None


def test_the_timing_cache_is_read_and_written(builder: MagicMock, parser: MagicMock, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"
    config = builder.create_builder_config()
    build(timing_cache=cache)
    config.create_timing_cache.assert_called_with(b"")
    assert cache.read_bytes() == b"new measurements"
    build(timing_cache=cache)
    config.create_timing_cache.assert_called_with(b"new measurements")
    config.set_timing_cache.assert_called_with(config.create_timing_cache.return_value, ignore_mismatch=False)


def test_a_model_that_cannot_be_parsed_is_an_error_with_the_parsers_words(
    builder: MagicMock, parser: MagicMock
) -> None:
    parser.parse_from_file.return_value = False
    parser.num_errors = 1
    parser.get_error.return_value = create_autospec(trt.ParserError, instance=True, spec_set=True)
    parser.get_error.return_value.desc.return_value = "no importer for operator Sing"
    with pytest.raises(InputError, match=r"model\.onnx: .*no importer for operator Sing"):
        build()
    builder.build_serialized_network.assert_not_called()


def test_a_failed_build_is_an_error_with_the_builders_words(
    builder: MagicMock, parser: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.build_serialized_network.return_value = None
    loggers: list[Any] = []

    def with_logger(logger: Any) -> MagicMock:
        loggers.append(logger)
        logger.log(trt.ILogger.WARNING, "only a warning")
        logger.log(trt.ILogger.ERROR, "could not find any implementation")
        logger.log(trt.ILogger.INFO, "goodbye")
        return builder

    monkeypatch.setattr(trt, "Builder", with_logger)
    with pytest.raises(SetupError, match="could not find any implementation"):
        build()
    assert isinstance(loggers[0], trt.ILogger)


def test_refused_shapes_are_an_error(builder: MagicMock, parser: MagicMock) -> None:
    builder.create_builder_config().add_optimization_profile.return_value = -1
    with pytest.raises(SetupError, match="--min 1x64x64"):
        build()


def test_a_tensorrt_that_gives_no_builder_is_an_error() -> None:
    """The real binding, over a library that has none."""
    with pytest.raises(SetupError, match="does not start"):
        build()


def test_progress_is_reported_and_can_stop_the_build(builder: MagicMock, parser: MagicMock) -> None:
    told: list[tuple[str, int, int]] = []
    build(report=lambda *step: bool(told.append(step)) or len(told) < 3)
    monitor = builder.create_builder_config().progress_monitor
    assert isinstance(monitor, trt.IProgressMonitor)
    monitor.phase_start("Building Engine", None, 2)
    assert monitor.step_complete("Building Engine", 0) is True
    assert monitor.step_complete("Building Engine", 1) is False
    monitor.phase_finish("Building Engine")
    assert told == [("Building Engine", done, 2) for done in (0, 1, 2, 2)]


def test_without_a_gpu_tensorrt_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from colorcli.exporting import ExportRequest, export_generator

    monkeypatch.setattr(trt, "Builder", MagicMock(side_effect=AssertionError))
    monkeypatch.setattr(trt, "Runtime", MagicMock(side_effect=AssertionError))
    output = tmp_path / "model.engine"
    no_driver = cudart.cudaError_t.cudaErrorInsufficientDriver
    monkeypatch.setattr(cudart, "cudaGetDeviceCount", lambda: (no_driver, None))
    request = ExportRequest(tmp_path / "generator.safetensors", output, plan=ONE_PROFILE)
    with pytest.raises(SetupError, match="no usable GPU"):
        export_generator(request, lambda phase, done, steps: True)
    write_plan(output, header(), PLAN)
    with pytest.raises(SetupError, match="no usable GPU"):
        tensorrt.TensorrtEngine(output)
    assert list(tmp_path.iterdir()) == [output]


# Running


class FakeGpu:
    """CUDA's runtime, with host memory for device memory; it keeps count of what is allocated."""

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
    """An execution context behind its autospec: keeps what it is told, computes the network above."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.addresses: dict[str, int] = {}
        self.profile: int | None = None
        self.spec = create_autospec(trt.IExecutionContext, instance=True, spec_set=True)
        self.spec.set_input_shape.side_effect = lambda name, shape: bool(self.shapes.append(shape)) or True
        self.spec.set_tensor_address.side_effect = self.addresses.__setitem__
        self.spec.set_optimization_profile_async.side_effect = self._set_profile
        self.spec.execute_async_v3.side_effect = self._execute

    def _set_profile(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def _execute(self, stream: int) -> bool:
        pictures, channels, height, width = self.shapes[-1]
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

    def create_context() -> MagicMock:
        made.append(FakeContext())
        spec: MagicMock = made[-1].spec
        return spec

    engine.create_execution_context.side_effect = create_context
    runtime = create_autospec(trt.Runtime, instance=True, spec_set=True)
    runtime.deserialize_cuda_engine.side_effect = lambda plan: engine if plan == PLAN else None
    monkeypatch.setattr(trt, "Runtime", lambda logger: runtime)
    return made


def header(*profiles: Profile, version: str = trt.__version__) -> PlanHeader:
    card = ModelCard(name="test", version="1", architecture="toy")
    return PlanHeader(card, version, GPU, PlanOptions(profiles or (PROFILE,)), REBUILD, len(PLAN))


def opened(tmp_path: Path, *profiles: Profile) -> tensorrt.TensorrtEngine:
    path = tmp_path / "model.engine"
    write_plan(path, header(*profiles), PLAN)
    return tensorrt.TensorrtEngine(path, "cuda:1")


def random_condition(*shape: int) -> Any:
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("pictures", [1, 2, 3, 7])
def test_pictures_go_through_the_plan_in_pieces(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path, pictures: int
) -> None:
    condition = random_condition(pictures, 4, 96, 128)
    with opened(tmp_path) as engine:
        assert engine.device == "cuda:1"
        chroma = engine.colorize(condition)
        np.testing.assert_array_equal(chroma[:, 0], condition[:, 0] - 0.5)
        np.testing.assert_array_equal(chroma[:, 1], (condition[:, 0] - 0.5) / 2)
    sizes = [shape[0] for context in contexts for shape in context.shapes]
    assert sum(sizes) == pictures
    assert max(sizes) <= PROFILE.opt[0]


def test_buffers_are_allocated_once_and_freed_in_the_end(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    with opened(tmp_path) as engine:
        engine.colorize(random_condition(3, 4, 64, 64))
        allocated = set(gpu.memory)
        engine.colorize(random_condition(7, 4, 128, 128))
        assert set(gpu.memory) == allocated
    assert not gpu.memory
    assert not gpu.streams


def test_pictures_smaller_than_the_plans_smallest_are_padded_and_cropped(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    condition = random_condition(1, 4, 32, 96)
    with opened(tmp_path) as engine:
        chroma = engine.colorize(condition)
    assert chroma.shape == (1, 2, 32, 96)
    np.testing.assert_array_equal(chroma[:, 0], condition[:, 0] - 0.5)
    assert contexts[0].shapes == [(1, 4, 64, 96)]


def test_the_profile_fastest_nearest_to_the_size_is_taken(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    with opened(tmp_path, PROFILE, LARGER) as engine:
        engine.colorize(random_condition(1, 4, 256, 224))
        assert {context.profile for context in contexts} == {1}
        engine.colorize(random_condition(1, 4, 96, 96))
    assert {context.profile for context in contexts} == {0, 1}


def test_pictures_larger_than_every_profile_are_refused_with_the_way_out(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    with opened(tmp_path) as engine, pytest.raises(SetupError, match=REBUILD):
        engine.colorize(random_condition(1, 4, 160, 64))


def test_a_gpu_beyond_the_last_is_refused(gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path) -> None:
    path = tmp_path / "model.engine"
    write_plan(path, header(), PLAN)
    with pytest.raises(SetupError, match="cuda:2"):
        tensorrt.TensorrtEngine(path, "cuda:2")
    with pytest.raises(SetupError, match="GPUs only"):
        tensorrt.TensorrtEngine(path, "cpu")


def test_another_version_is_refused_before_a_runtime_is_made(
    gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "Runtime", MagicMock(side_effect=AssertionError))
    path = tmp_path / "model.engine"
    write_plan(path, header(version="9.3.0.1"), PLAN)
    with pytest.raises(SetupError, match=REBUILD):
        tensorrt.TensorrtEngine(path)


def test_a_plan_that_tensorrt_cannot_read_is_refused(
    gpu: FakeGpu, contexts: list[FakeContext], tmp_path: Path
) -> None:
    path = tmp_path / "model.engine"
    write_plan(path, header(), PLAN[::-1])
    with pytest.raises(SetupError, match=REBUILD):
        tensorrt.TensorrtEngine(path)


def test_cuda_takes_our_arguments() -> None:
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


# torch2trt


def test_torch2trt_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from colorcli.exporting import ExportRequest, export_generator

    monkeypatch.setattr("colorcli.engines.cuda.select_gpu", lambda index: GPU)
    monkeypatch.setattr("colorcli.exporting._write_onnx", lambda request, output: header().card)
    output = tmp_path / "model.engine"
    request = ExportRequest(tmp_path / "g.safetensors", output, plan=ONE_PROFILE, via="torch2trt")
    with pytest.raises(SetupError, match="torch2trt does not start"):
        export_generator(request, lambda phase, done, steps: True)


def test_torch2trt_builds_one_plain_profile_in_fp32_or_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch2trt", SimpleNamespace(torch2trt=MagicMock()))
    from colorcli.engines.torch2trt_export import build_plan_via_torch2trt

    for options, precision in (
        (PlanOptions((PROFILE, LARGER)), "fp32"),
        (PlanOptions((PROFILE,), version_compatible=True), "fp32"),
        (ONE_PROFILE, "int8"),
    ):
        with pytest.raises(UsageError, match="torch2trt builds"):
            build_plan_via_torch2trt(Path("g.safetensors"), options, precision)
