"""One engine for many processes: every request gets its own answer, and those that wait share a call."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colorcli.engines import Engine, TensorSpec, shared
from colorcli.engines.base import DeviceError, Tensors
from colorcli.engines.guarded import GuardedEngine
from colorcli.engines.shared import SharedEngines, share_engines
from colorcli.errors import InputError, SetupError

MODEL = Path("model.onnx")
WAIT = 60


class Card(Engine):
    """Doubles its input, once it is let go; notes the pictures of each call."""

    def __init__(self, device: str = "cuda:0", batch: int | None = None, largest: int = 99) -> None:
        self.metadata, self.device, self.largest = {"kind": "test"}, device, largest
        self.inputs = (TensorSpec("x", (batch, None), "float32"),)
        self.outputs = (TensorSpec("y", (batch, None), "float32"),)
        self.calls: list[int] = []
        self.is_busy, self.may_go_on = Event(), Event()

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        self.is_busy.set()
        assert self.may_go_on.wait(WAIT)
        values = tensors["x"]
        if len(values) > self.largest:
            raise DeviceError(self.device, "the device failed (out of memory)", "use --device cpu")
        self.calls.append(len(values))
        return {"y": 2 * values}


@contextmanager
def served(engine: Engine, device: str = "cuda") -> Iterator[SharedEngines]:
    with share_engines([MODEL], device, lambda path: engine) as handle:
        assert handle is not None
        yield handle


def run_at_once(
    engine: Engine, card: Card, inputs: list[NDArray[Any]], monkeypatch: pytest.MonkeyPatch
) -> list[NDArray[Any] | Exception]:
    """The answers to inputs of which all but the first come while the card is busy."""
    servers = []

    class Server(shared._EngineServer):
        def __enter__(self) -> "Server":
            servers.append(self)
            super().__enter__()
            return self

    monkeypatch.setattr(shared, "_EngineServer", Server)

    def ask(handle: SharedEngines, values: NDArray[Any]) -> NDArray[Any] | Exception:
        client = handle.connect().open(MODEL)
        assert client is not None
        with client:
            try:
                return client.run({"x": values})["y"]
            except Exception as error:
                return error

    with ThreadPoolExecutor(len(inputs)) as pool, served(engine) as handle:
        answers = [pool.submit(ask, handle, inputs[0])]
        assert card.is_busy.wait(WAIT)
        answers += [pool.submit(ask, handle, values) for values in inputs[1:]]
        deadline = time.monotonic() + WAIT
        while servers[0]._requests.qsize() < len(inputs) - 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        card.may_go_on.set()
        return [answer.result(WAIT) for answer in answers]


INPUTS = [np.full((1, width), place, np.float32) for place, width in enumerate((3, 3, 3, 5, 3, 3, 3, 5))]


@pytest.mark.parametrize(
    ("card", "calls"),
    [(Card(), [1, 1, 2, 4]), (Card(batch=1), [1] * 8), (Card(largest=2), [1, 1, 2, 2, 2])],
)
def test_waiting_requests_of_equal_shape_share_a_call(
    card: Card, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = run_at_once(GuardedEngine(card, None), card, INPUTS, monkeypatch)
    for values, answer in zip(INPUTS, answers, strict=True):
        np.testing.assert_array_equal(answer, 2 * values)
    assert sum(card.calls) == len(INPUTS)
    assert sorted(card.calls) == sorted(calls)


def test_a_card_that_is_lost_is_replaced_by_the_cpu_which_gets_one_picture_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card, cpu = Card(largest=0), Card("cpu")
    cpu.may_go_on.set()
    answers = run_at_once(GuardedEngine(card, lambda: cpu), card, INPUTS, monkeypatch)
    for values, answer in zip(INPUTS, answers, strict=True):
        np.testing.assert_array_equal(answer, 2 * values)
    assert cpu.calls == [1] * len(INPUTS)


def test_a_card_that_the_user_named_fails_for_each_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(largest=0)
    answers = run_at_once(GuardedEngine(card, None), card, INPUTS, monkeypatch)
    assert len(answers) == len(INPUTS)
    for answer in answers:
        assert isinstance(answer, DeviceError)
        assert "out of memory" in answer.cause


def test_a_client_shows_what_the_engine_is_and_takes_its_notes_once() -> None:
    card, cpu = Card(largest=0), Card("cpu")
    for each in (card, cpu):
        each.may_go_on.set()
    with (
        served(GuardedEngine(card, lambda: cpu)) as handle,
        handle.connect().open(MODEL) or pytest.fail() as client,
    ):
        assert (client.metadata, client.device) == (card.metadata, "cuda:0")
        assert (client.inputs, client.outputs) == (card.inputs, card.outputs)
        client.run({"x": INPUTS[0]})
        assert "on the CPU from here on" in client.take_note()
        assert client.take_note() == ""


def test_errors_reach_those_who_ask() -> None:
    def refuses(path: Path) -> Engine:
        raise SetupError(path, "not a readable model", "export it again")

    class Broken(Card):
        def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
            raise KeyError("a fault")

    with share_engines([MODEL], "cuda", refuses) as handle:
        assert handle is not None
        with pytest.raises(SetupError, match="not a readable model"):
            handle.connect().open(MODEL)
    with (
        served(Broken()) as handle,
        handle.connect().open(MODEL) or pytest.fail() as client,
        pytest.raises(InputError, match="bug"),
    ):
        client.run({"x": INPUTS[0]})


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_processes_do_not_share_the_cpu(device: str) -> None:
    with share_engines([MODEL], device, lambda path: Card("cpu")) as handle:
        assert handle is None


def test_each_process_opens_its_own_where_auto_finds_no_faster_card(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_gpu in (False, True):
        monkeypatch.setattr("colorcli.engines.gpus.has_gpu", lambda has_gpu=has_gpu: has_gpu)
        with served(Card("cpu"), "auto") as handle:
            assert handle.connect().open(MODEL) is None


def test_a_file_that_is_blended_with_itself_is_opened_twice() -> None:
    with served(Card()) as handle:
        connections = handle.connect()
        assert connections.open(MODEL) is not None
        assert connections.open(MODEL) is None
