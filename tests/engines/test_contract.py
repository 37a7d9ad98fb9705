"""The contract of every engine, run over all backends and plugins that are installed."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.fake_gpus import NO_KERNELS

from colorcli.engines import Engine, TensorSpec
from colorcli.engines.builders.parity import compare, default_shapes, sample_condition
from colorcli.engines.plugins import PLUGINS, Plugin
from colorcli.engines.registry import BACKENDS, Backend
from colorcli.errors import SetupError, UsageError
from colorcli.models.registry import adapt
from colorcli.networks.card import ModelCard

SHAPES = [(1, 4, 32, 32), (1, 4, 64, 32), (3, 4, 32, 64), (9, 4, 32, 32)]


DEVICES = (
    dict.fromkeys(BACKENDS, "cpu") | dict.fromkeys(("tensorrt",), "cuda") | {kind: kind for kind in PLUGINS}
)
"""Every backend on its usual device, and ONNX Runtime's on those of the plugins."""


@pytest.fixture(scope="module", params=DEVICES)
def case(request: pytest.FixtureRequest) -> str:
    """A backend or a plugin that is installed and has a device."""
    name: str = request.param
    if name == "spandrel":
        pytest.skip("opens checkpoints of DDColor only: test_spandrel.py")
    if name in PLUGINS:
        needs_gpu(PLUGINS[name])
    elif missing := BACKENDS[name].missing:
        pytest.skip(f"{' and '.join(missing)} not installed: {BACKENDS[name].install}")
    return name


def needs_gpu(plugin: Plugin) -> None:
    """Skip where a plugin is missing or finds no GPU; `test_gpus.py` runs this file where it finds one."""
    try:
        found = plugin.devices()
    except SetupError as error:
        pytest.skip(str(error))
    if not found:
        pytest.skip(f"{plugin.device} finds no GPU")


@pytest.fixture(scope="module")
def backend(case: str) -> Backend:
    return BACKENDS.get(case, BACKENDS["onnxruntime"])


@pytest.fixture(scope="module")
def model(
    case: str, backend: Backend, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same generator in the backend's own kind of file; a small one for plugins."""
    if case in PLUGINS:
        return request.getfixturevalue("toy_model")  # type: ignore[no-any-return]
    checkpoint: Path = request.getfixturevalue("checkpoint")
    if backend.suffix == ".safetensors":
        return checkpoint
    if backend.suffix == ".onnx":
        return request.getfixturevalue("exported")  # type: ignore[no-any-return]
    from colorcli.engines.builders.export import export_model
    from colorcli.engines.builders.request import ExportRequest
    from colorcli.engines.cuda import select_gpu
    from colorcli.engines.engine_file import EngineOptions, Profile

    try:
        select_gpu(0)
    except SetupError as error:
        pytest.skip(f"{backend.name} needs an NVIDIA GPU: {error}")
    path = tmp_path_factory.mktemp("engine") / "generator.engine"
    options = EngineOptions((Profile((1, 32, 32), (4, 64, 64), (8, 256, 256)),))
    export_model(ExportRequest(checkpoint, path, engine=options), lambda phase, done, steps: True)
    return path


@pytest.fixture(scope="module")
def device(case: str) -> str:
    return DEVICES[case]


@pytest.fixture(scope="module")
def engine(backend: Backend, model: Path, device: str) -> Iterator[Engine]:
    if NO_KERNELS in os.environ:
        pytest.skip("the card only seems to be there: it opens no model that was built for it")
    with backend.open(model, device) as engine:
        yield engine


@pytest.fixture(scope="module")
def reference(case: str, model: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The same generator on the CPU: in PyTorch, or in ONNX Runtime where it is not ours."""
    small = case in PLUGINS
    path = model if small else request.getfixturevalue("checkpoint")
    with BACKENDS["onnxruntime" if small else "torch"].open(path, "cpu") as engine:
        yield engine


def run(engine: Engine, condition: NDArray[np.float32]) -> NDArray[np.float32]:
    return engine.run({"condition": condition})["chroma"]


def test_inputs_and_outputs_are_described(engine: Engine) -> None:
    assert engine.inputs == (TensorSpec("condition", (None, 4, None, None), "float32"),)
    (chroma,) = engine.outputs
    assert (chroma.name, chroma.dtype) == ("chroma", "float32")


@pytest.mark.parametrize("shape", SHAPES)
def test_any_batch_and_size_gives_chroma_of_that_size(engine: Engine, shape: tuple[int, ...]) -> None:
    chroma = run(engine, sample_condition(shape))
    assert chroma.shape == (shape[0], 2, *shape[2:])
    assert chroma.dtype == np.float32
    assert np.abs(chroma).max() <= 0.5
    assert chroma.std() > 0.001


def test_pictures_of_a_batch_do_not_influence_each_other(engine: Engine) -> None:
    condition = sample_condition((5, 4, 32, 64))
    alone = np.concatenate([run(engine, condition[n : n + 1]) for n in range(5)])
    np.testing.assert_allclose(run(engine, condition), alone, atol=2e-5)


def test_the_same_condition_gives_the_same_chroma(engine: Engine) -> None:
    condition = sample_condition((2, 4, 32, 32))
    first = run(engine, condition)
    np.testing.assert_array_equal(run(engine, condition), first)


def test_outputs_stay_valid_after_the_next_run(engine: Engine) -> None:
    first = run(engine, sample_condition((1, 4, 32, 32)))
    kept = first.copy()
    run(engine, sample_condition((1, 4, 32, 32), seed=1))
    np.testing.assert_array_equal(first, kept)


def test_inputs_are_not_changed_and_need_not_be_contiguous(engine: Engine) -> None:
    condition = sample_condition((2, 4, 32, 32))
    kept = condition.copy()
    flipped: NDArray[np.float32] = condition[:, :, :, ::-1]
    flipped_chroma = run(engine, flipped)
    np.testing.assert_array_equal(condition, kept)
    np.testing.assert_allclose(run(engine, np.ascontiguousarray(flipped)), flipped_chroma, atol=2e-5)


def test_hints_move_colors(engine: Engine) -> None:
    plain = sample_condition((1, 4, 32, 32))
    hinted = plain.copy()
    hinted[:, 1], hinted[:, 3] = 0.3, 1
    assert np.abs(run(engine, plain) - run(engine, hinted)).mean() > 0.001


def test_it_agrees_with_the_reference(engine: Engine, reference: Engine, model: Path) -> None:
    expected, actual = (adapt(one, model) for one in (reference, engine))
    for row in compare(expected, actual, default_shapes(expected.card.multiple_of)):
        assert row.within("fp32"), row


def test_the_models_card_is_in_the_metadata(engine: Engine, reference: Engine) -> None:
    card = ModelCard.from_metadata(engine.metadata)
    assert card == ModelCard.from_metadata(reference.metadata)
    assert len(card.digest) == 64


def test_it_says_where_it_runs(engine: Engine, device: str) -> None:
    assert engine.device == (device if device == "cpu" else f"{device}:0")


def test_a_device_that_does_not_exist_is_a_usage_error(backend: Backend, model: Path) -> None:
    with pytest.raises(UsageError, match="no such device"):
        backend.open(model, "tpu")


def test_a_gpu_that_is_not_there_is_named(backend: Backend, model: Path, device: str) -> None:
    gpu = f"{'cuda' if device == 'cpu' else device}:99"
    with pytest.raises(SetupError, match=rf"{gpu}|CUDA"):
        backend.open(model, gpu)


def test_a_file_that_is_not_a_model_is_named(backend: Backend, device: str, tmp_path: Path) -> None:
    broken = tmp_path / f"broken{backend.suffix}"
    broken.write_bytes(b"not a model at all")
    with pytest.raises(Exception, match=r"broken.*; ") as caught:
        backend.open(broken, device)
    assert caught.value.subject == str(broken)  # type: ignore[attr-defined]


def test_a_truncated_model_is_named(backend: Backend, model: Path, device: str, tmp_path: Path) -> None:
    half = tmp_path / model.name
    half.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(Exception, match=r"; ") as caught:
        backend.open(half, device)
    assert caught.value.subject == str(half)  # type: ignore[attr-defined]
