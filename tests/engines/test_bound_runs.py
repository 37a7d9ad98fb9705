"""Runs with bound buffers give what plain runs give, for any sequence of shapes, or are given up."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from colorcli.engines.bound_runs import MOST_SHAPES, BoundRuns
from colorcli.engines.builders.parity import sample_condition


@pytest.fixture
def session(toy_model: Path) -> ort.InferenceSession:
    return ort.InferenceSession(str(toy_model))


@pytest.fixture
def made() -> list[ort.OrtValue]:
    """The tensors that were made to be bound."""
    return []


@pytest.fixture
def runs(session: ort.InferenceSession, made: list[ort.OrtValue]) -> BoundRuns:
    def allocate(shape: Sequence[int], dtype: Any) -> ort.OrtValue:
        made.append(ort.OrtValue.ortvalue_from_shape_and_type(shape, dtype))
        return made[-1]

    return BoundRuns(session, allocate)


def conditions() -> Iterator[np.ndarray]:
    """Different pictures of more shapes than are kept, each shape several times."""
    for seed in range(4):
        for count in range(1, MOST_SHAPES + 3):
            yield sample_condition((count, 4, 16, 24), seed=seed)


def test_outputs_are_those_of_plain_runs_and_stay(session: ort.InferenceSession, runs: BoundRuns) -> None:
    given = list(conditions())
    outputs = [runs.run({"condition": condition})[0] for condition in given]
    for condition, chroma in zip(given, outputs, strict=True):
        np.testing.assert_array_equal(chroma, session.run(None, {"condition": condition})[0])
    assert runs.works


def test_buffers_are_made_once_and_for_the_first_shapes_that_repeat(
    runs: BoundRuns, made: list[ort.OrtValue]
) -> None:
    once = sample_condition((9, 4, 16, 16))
    runs.run({"condition": once})
    assert not made
    for condition in conditions():
        runs.run({"condition": condition})
    assert len(made) == 2 * MOST_SHAPES


class Stale(ort.OrtValue):
    """A tensor that new values do not reach, as if a graph had recorded others."""

    def update_inplace(self, data: Any) -> None:
        pass


def stale(shape: Sequence[int], dtype: Any) -> ort.OrtValue:
    value = ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype))
    return Stale(value._ortvalue, value._numpy_obj)


def full(shape: Sequence[int], dtype: Any) -> ort.OrtValue:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("allocate", [stale, full])
def test_what_fails_or_differs_is_given_up(session: ort.InferenceSession, allocate: Any) -> None:
    runs = BoundRuns(session, allocate)
    for condition in conditions():
        expected = session.run(None, {"condition": condition})[0]
        np.testing.assert_array_equal(runs.run({"condition": condition})[0], expected)
    assert not runs.works
