"""The contract of every engine, run over all backends that are installed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from colorcli.engines import Engine, TensorSpec
from colorcli.engines.builders.parity import compare, default_shapes, sample_condition
from colorcli.engines.registry import BACKENDS, Backend
from colorcli.errors import SetupError, UsageError
from colorcli.models.registry import adapt
from colorcli.networks.card import ModelCard

SHAPES = [(1, 4, 32, 32), (1, 4, 96, 64), (3, 4, 64, 128), (9, 4, 32, 64)]


@pytest.fixture(scope="module", params=BACKENDS.values(), ids=BACKENDS.keys())
def backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param
    if backend.missing:
        pytest.skip(f"{' and '.join(backend.missing)} not installed: {backend.install}")
    return backend


@pytest.fixture(scope="module")
def model(backend: Backend, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same generator in the backend's own kind of file."""
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
def device(backend: Backend) -> str:
    return "cuda" if backend.suffix == ".engine" else "cpu"


@pytest.fixture(scope="module")
def engine(backend: Backend, model: Path, device: str) -> Iterator[Engine]:
    with backend.open(model, device) as engine:
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
    condition = sample_condition((5, 4, 64, 96))
    alone = np.concatenate([run(engine, condition[n : n + 1]) for n in range(5)])
    np.testing.assert_allclose(run(engine, condition), alone, atol=2e-5)


def test_the_same_condition_gives_the_same_chroma(engine: Engine) -> None:
    condition = sample_condition((2, 4, 64, 64))
    first = run(engine, condition)
    np.testing.assert_array_equal(run(engine, condition), first)


def test_outputs_stay_valid_after_the_next_run(engine: Engine) -> None:
    first = run(engine, sample_condition((1, 4, 64, 64)))
    kept = first.copy()
    run(engine, sample_condition((1, 4, 64, 64), seed=1))
    np.testing.assert_array_equal(first, kept)


def test_inputs_are_not_changed_and_need_not_be_contiguous(engine: Engine) -> None:
    condition = sample_condition((2, 4, 64, 64))
    kept = condition.copy()
    flipped: NDArray[np.float32] = condition[:, :, :, ::-1]
    flipped_chroma = run(engine, flipped)
    np.testing.assert_array_equal(condition, kept)
    np.testing.assert_allclose(run(engine, np.ascontiguousarray(flipped)), flipped_chroma, atol=2e-5)


def test_hints_move_colors(engine: Engine) -> None:
    plain = sample_condition((1, 4, 64, 64))
    hinted = plain.copy()
    hinted[:, 1], hinted[:, 3] = 0.3, 1
    assert np.abs(run(engine, plain) - run(engine, hinted)).mean() > 0.001


def test_it_agrees_with_torch(engine: Engine, checkpoint: Path) -> None:
    with BACKENDS["torch"].open(checkpoint, "cpu") as reference:
        models = (adapt(one, checkpoint) for one in (reference, engine))
        for row in compare(*models, default_shapes(32)):
            assert row.within("fp32"), row


def test_the_checkpoints_card_is_in_the_metadata(engine: Engine, checkpoint: Path) -> None:
    with BACKENDS["torch"].open(checkpoint, "cpu") as reference:
        card = ModelCard.from_metadata(engine.metadata)
        assert card == ModelCard.from_metadata(reference.metadata)
    assert len(card.digest) == 64


def test_it_says_where_it_runs(engine: Engine, device: str) -> None:
    assert engine.device == ("cuda:0" if device == "cuda" else "cpu")


def test_a_device_that_does_not_exist_is_a_usage_error(backend: Backend, model: Path) -> None:
    with pytest.raises(UsageError, match="no such device"):
        backend.open(model, "tpu")


def test_a_gpu_that_is_not_there_is_named(backend: Backend, model: Path) -> None:
    with pytest.raises(SetupError, match=r"cuda:99|CUDA"):
        backend.open(model, "cuda:99")


def test_a_file_that_is_not_a_model_is_named(backend: Backend, tmp_path: Path) -> None:
    broken = tmp_path / f"broken{backend.suffix}"
    broken.write_bytes(b"not a model at all")
    with pytest.raises(Exception, match=r"broken.*; ") as caught:
        backend.open(broken)
    assert caught.value.subject == str(broken)  # type: ignore[attr-defined]


def test_a_truncated_model_is_named(backend: Backend, model: Path, tmp_path: Path) -> None:
    half = tmp_path / model.name
    half.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(Exception, match=r"; ") as caught:
        backend.open(half)
    assert caught.value.subject == str(half)  # type: ignore[attr-defined]
