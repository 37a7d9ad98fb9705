"""Run by `test_tensorrt.py`, once for each version of the bindings: building engines.

Builder and parser are autospecs of the real classes: what a version does not know raises.
"""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, create_autospec

import pytest
import tensorrt as trt
from cuda.bindings import runtime as cudart
from support import stand_ins
from support.engine_files import ENGINE, GPU, LARGER, ONE_PROFILE, PROFILE, header

from colorcli.engines import tensorrt
from colorcli.engines.builders import tensorrt as tensorrt_export
from colorcli.engines.engine_file import EngineOptions, write_engine_file
from colorcli.errors import InputError, SetupError, UsageError


def test_the_bindings_have_the_requested_version() -> None:
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
    made.build_serialized_network.return_value = ENGINE
    monkeypatch.setattr(trt, "Builder", lambda logger: made)
    return made


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    made: MagicMock = create_autospec(trt.OnnxParser, instance=True, spec_set=True)
    made.parse_from_file.return_value = True
    monkeypatch.setattr(trt, "OnnxParser", lambda network, logger: made)
    return made


Build = Callable[..., bytes]


@pytest.fixture
def build(toy_model: Path) -> Build:
    def build(options: EngineOptions = ONE_PROFILE, model: Path = toy_model, **more: Any) -> bytes:
        more.setdefault("report", lambda phase, done, steps: True)
        return tensorrt_export.build_engine(model, options, **more)

    return build


def test_the_network_is_strongly_typed(build: Build, builder: MagicMock, parser: MagicMock) -> None:
    assert build() == ENGINE
    (flags,) = builder.create_network.call_args.args
    assert flags == 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert flags == {"10": 2, "11": 1}[os.environ["TENSORRT_MAJOR"]]


def test_every_profile_is_added_with_its_shapes(build: Build, builder: MagicMock, parser: MagicMock) -> None:
    build(EngineOptions((PROFILE, LARGER)))
    config = builder.create_builder_config()
    added = [call.args[0] for call in config.add_optimization_profile.call_args_list]
    assert [profile.set_shape.call_args.args for profile in added] == [
        ("condition", (1, 4, 64, 64), (2, 4, 96, 96), (4, 4, 128, 128)),
        ("condition", (1, 4, 64, 64), (1, 4, 256, 256), (1, 4, 256, 256)),
    ]


def test_a_model_without_free_dimensions_needs_no_profile(
    build: Build, builder: MagicMock, parser: MagicMock, tmp_path: Path
) -> None:
    build(EngineOptions((PROFILE,)), stand_ins.write(tmp_path / "fixed.onnx", "eccv16", 64))
    builder.create_builder_config().add_optimization_profile.assert_not_called()


def test_float32_is_not_rounded_to_tf32(build: Build, builder: MagicMock, parser: MagicMock) -> None:
    build()
    builder.create_builder_config().clear_flag.assert_called_once_with(trt.BuilderFlag.TF32)


def test_an_engine_is_compared_at_shapes_that_it_is_built_for() -> None:
    from colorcli.engines.builders.export import parity_shapes

    assert parity_shapes(ONE_PROFILE) == [PROFILE.min, PROFILE.opt, (1, 128, 128)]


def test_compatibility_is_off_by_default(build: Build, builder: MagicMock, parser: MagicMock) -> None:
    config = builder.create_builder_config()
    build()
    config.set_flag.assert_not_called()
    build(EngineOptions((PROFILE,), version_compatible=True, hardware_compatible=True))
    config.set_flag.assert_called_once_with(trt.BuilderFlag.VERSION_COMPATIBLE)
    assert config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS


def test_assigned_properties_have_setters() -> None:
    """Autospecs do not notice properties without a setter."""
    for name in ("progress_monitor", "hardware_compatibility_level"):
        assert getattr(trt.IBuilderConfig, name).fset is not None
    assert trt.Runtime.engine_host_code_allowed.fset is not None


def test_the_timing_cache_is_read_and_written(
    build: Build, builder: MagicMock, parser: MagicMock, tmp_path: Path
) -> None:
    cache = tmp_path / "timing.cache"
    config = builder.create_builder_config()
    build(timing_cache=cache)
    config.create_timing_cache.assert_called_with(b"")
    assert cache.read_bytes() == b"new measurements"
    build(timing_cache=cache)
    config.create_timing_cache.assert_called_with(b"new measurements")
    config.set_timing_cache.assert_called_with(config.create_timing_cache.return_value, ignore_mismatch=False)


def test_a_parser_error_is_reported_in_the_parsers_words(
    build: Build, builder: MagicMock, parser: MagicMock
) -> None:
    parser.parse_from_file.return_value = False
    parser.num_errors = 1
    parser.get_error.return_value = create_autospec(trt.ParserError, instance=True, spec_set=True)
    parser.get_error.return_value.desc.return_value = "no importer for operator Sing"
    with pytest.raises(InputError, match=r"toy\.onnx: .*no importer for operator Sing"):
        build()
    builder.build_serialized_network.assert_not_called()


def test_a_build_error_is_reported_in_the_builders_words(
    build: Build, builder: MagicMock, parser: MagicMock, monkeypatch: pytest.MonkeyPatch
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


def test_refused_shapes_are_an_error(build: Build, builder: MagicMock, parser: MagicMock) -> None:
    builder.create_builder_config().add_optimization_profile.return_value = -1
    with pytest.raises(SetupError, match="--min 1x64x64"):
        build()


def test_a_missing_builder_is_an_error(build: Build) -> None:
    """The real binding, over a library that has none."""
    with pytest.raises(SetupError, match="does not start"):
        build()


def test_progress_is_reported_and_can_stop_the_build(
    build: Build, builder: MagicMock, parser: MagicMock
) -> None:
    reports: list[tuple[str, int, int]] = []
    build(report=lambda *step: bool(reports.append(step)) or len(reports) < 3)
    monitor = builder.create_builder_config().progress_monitor
    assert isinstance(monitor, trt.IProgressMonitor)
    monitor.phase_start("Building Engine", None, 2)
    assert monitor.step_complete("Building Engine", 0) is True
    assert monitor.step_complete("Building Engine", 1) is False
    monitor.phase_finish("Building Engine")
    assert reports == [("Building Engine", done, 2) for done in (0, 1, 2, 2)]


def test_without_a_gpu_tensorrt_is_not_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from colorcli.engines.builders.export import export_model
    from colorcli.engines.builders.request import ExportRequest

    monkeypatch.setattr(trt, "Builder", MagicMock(side_effect=AssertionError))
    monkeypatch.setattr(trt, "Runtime", MagicMock(side_effect=AssertionError))
    output = tmp_path / "model.engine"
    no_driver = cudart.cudaError_t.cudaErrorInsufficientDriver
    monkeypatch.setattr(cudart, "cudaGetDeviceCount", lambda: (no_driver, None))
    request = ExportRequest(tmp_path / "generator.safetensors", output, engine=ONE_PROFILE)
    with pytest.raises(SetupError, match="no usable GPU"):
        export_model(request, lambda phase, done, steps: True)
    write_engine_file(output, header(trt.__version__), ENGINE)
    with pytest.raises(SetupError, match="no usable GPU"):
        tensorrt.TensorrtEngine(output)
    assert list(tmp_path.iterdir()) == [output]


# torch2trt


def test_a_missing_torch2trt_is_named(
    toy_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from colorcli.engines.builders.export import export_model
    from colorcli.engines.builders.request import ExportRequest

    monkeypatch.setattr("colorcli.engines.cuda.select_gpu", lambda index: GPU)
    output = tmp_path / "model.engine"
    request = ExportRequest(toy_model, output, engine=ONE_PROFILE, via="torch2trt")
    with pytest.raises(SetupError, match="torch2trt does not start"):
        export_model(request, lambda phase, done, steps: True)


def test_torch2trt_builds_one_profile_in_fp32_or_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch2trt", SimpleNamespace(torch2trt=MagicMock()))
    from colorcli.engines.builders.torch2trt import build_engine_via_torch2trt

    for options, precision in (
        (EngineOptions((PROFILE, LARGER)), "fp32"),
        (EngineOptions((PROFILE,), version_compatible=True), "fp32"),
        (ONE_PROFILE, "int8"),
    ):
        with pytest.raises(UsageError, match="torch2trt builds"):
            build_engine_via_torch2trt(Path("g.safetensors"), options, precision)
