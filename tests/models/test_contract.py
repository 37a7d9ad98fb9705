"""The contract of every model adapter, run over all of them."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from support import stand_ins

from colorcli import engines
from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.engines.registry import BACKENDS
from colorcli.models import ModelAdapter, open_model
from colorcli.models.registry import ADAPTERS
from colorcli.models.zhang import Siggraph17Hints


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.__name__)
def adapter(request: pytest.FixtureRequest) -> type[ModelAdapter]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=list(product([64, None], [False, True])), ids=lambda pair: "{}-{}".format(*pair))
def path(
    adapter: type[ModelAdapter], request: pytest.FixtureRequest, toy_model: Path, tmp_path: Path
) -> Path:
    """A model file for each adapter, of fixed and free size, in float32 and float16."""
    size, half = request.param
    if adapter.kind == "colorcli":
        return toy_model
    if adapter is Siggraph17Hints:
        return stand_ins.write_with_hints(tmp_path / "m.onnx", size, half=half)
    return stand_ins.write(tmp_path / "m.onnx", adapter.kind, size, half=half)


@pytest.fixture
def model(path: Path, adapter: type[ModelAdapter]) -> Iterator[ModelAdapter]:
    with open_model(path, "cpu", kinds=adapter.kind) as model:
        yield model


def lumas(count: int, height: int, width: int) -> list[Plane]:
    rng = np.random.default_rng(height * width)
    return [rng.random((height, width), np.float32) for _ in range(count)]


def test_exactly_one_adapter_of_a_kind_matches(path: Path, adapter: type[ModelAdapter]) -> None:
    with engines.open(path, "cpu") as engine:
        assert [one for one in ADAPTERS if one.kind == adapter.kind and one.matches(engine)] == [adapter]


def test_the_model_describes_itself(model: ModelAdapter) -> None:
    assert model.device == "cpu"
    assert model.card.name
    assert len(model.card.digest) == 64
    assert model.card.working_size > 0


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (64, 48), (33, 100)])
def test_any_size_gives_chroma_of_that_size(model: ModelAdapter, shape: tuple[int, int]) -> None:
    chroma = model.predict(lumas(3, *shape), [None] * 3)
    assert [plane.shape for plane in chroma] == [(2, *shape)] * 3
    assert all(plane.dtype == np.float32 and np.abs(plane).max() <= 0.5 for plane in chroma)


def test_pictures_of_a_batch_do_not_influence_each_other(model: ModelAdapter) -> None:
    batch = lumas(3, 40, 56)
    together = model.predict(batch, [None] * 3)
    for luma, chroma in zip(batch, together, strict=True):
        np.testing.assert_allclose(model.predict([luma], [None])[0], chroma, atol=1e-4)


def test_lumas_are_not_changed(model: ModelAdapter) -> None:
    (luma,) = lumas(1, 40, 56)
    before = luma.copy()
    model.predict([luma], [None])
    np.testing.assert_array_equal(luma, before)


def test_hints_change_the_chroma_of_a_model_that_takes_them(model: ModelAdapter) -> None:
    (luma,) = lumas(1, 40, 56)
    hints = Hints(np.full((2, 40, 56), 0.3, np.float32), np.ones((40, 56), np.float32))
    (plain,), (hinted,) = model.predict([luma], [None]), model.predict([luma], [hints])
    assert np.allclose(plain, hinted) is not model.takes_hints


@pytest.mark.skipif(bool(BACKENDS["openvino"].missing), reason=BACKENDS["openvino"].install)
def test_openvino_gives_the_same(path: Path, adapter: type[ModelAdapter], model: ModelAdapter) -> None:
    (luma,) = lumas(1, 40, 56)
    with open_model(path, "openvino", kinds=adapter.kind) as other:
        np.testing.assert_allclose(*model.predict([luma], [None]), *other.predict([luma], [None]), atol=2e-3)
