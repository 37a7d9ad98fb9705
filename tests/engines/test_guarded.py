"""A card that fails: smaller batches, then the CPU, nothing lost and one note."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colorcli.engines import Engine, TensorSpec, onnxruntime, registry
from colorcli.engines.base import DeviceError, Tensors
from colorcli.engines.builders.parity import sample_condition
from colorcli.engines.engine_file import REBUILD_KEY
from colorcli.engines.guarded import GuardedEngine, open_guarded
from colorcli.engines.onnxruntime import OnnxEngine
from colorcli.errors import SetupError

PICTURES = np.arange(9 * 4, dtype=np.float32).reshape(9, 4, 1, 1)


class Card(Engine):
    """Doubles its input; takes `largest` pictures at once, and is lost after `calls` calls."""

    def __init__(self, device: str, largest: int = 99, calls: int = 99) -> None:
        self.device, self.largest, self.calls = device, largest, calls
        self.metadata: dict[str, str] = {}
        self.inputs = (TensorSpec("x", (None, 4, 1, 1), "float32"),)
        self.outputs = (TensorSpec("y", (None, 4, 1, 1), "float32"),)
        self.closed = False

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        self.calls -= 1
        if self.calls < 0:
            raise DeviceError(self.device, "the device failed (device lost)", "use --device cpu")
        if len(tensors["x"]) > self.largest:
            raise DeviceError(self.device, "the device failed (out of memory)", "use --device cpu")
        return {"y": 2 * tensors["x"]}

    def close(self) -> None:
        self.closed = True


def opener(card: Card | None) -> Callable[[str], Engine]:
    def open_on(device: str) -> Engine:
        if device == "cpu":
            return Card("cpu")
        if card is None:
            raise SetupError(device, "the plugin does not load", "install a driver")
        return card

    return open_on


def test_out_of_memory_makes_batches_smaller() -> None:
    card = Card("webgpu:0", largest=2)
    with open_guarded("webgpu:0", opener(card)) as engine:
        np.testing.assert_array_equal(engine.run({"x": PICTURES})["y"], 2 * PICTURES)
        assert engine.device == "webgpu:0"
        assert "batches of 2" in engine.take_note()
        calls = card.calls
        np.testing.assert_array_equal(engine.run({"x": PICTURES[:4]})["y"], 2 * PICTURES[:4])
        assert calls - card.calls == 2  # the size that failed is not tried again
        assert engine.take_note() == ""


@pytest.mark.parametrize("calls", range(3))
def test_a_lost_card_is_replaced_by_the_cpu_once(calls: int) -> None:
    card = Card("rtx:0", calls=calls)
    with open_guarded("rtx:0", opener(card)) as engine:
        for first in range(0, 9, 3):
            part = PICTURES[first : first + 3]
            np.testing.assert_array_equal(engine.run({"x": part})["y"], 2 * part)
        assert engine.device == "cpu"
        assert card.closed
        note = engine.take_note()
        assert "rtx:0 failed" in note
        assert "device lost" in note
        assert engine.take_note() == ""


def test_a_card_that_does_not_start_is_replaced_by_the_cpu() -> None:
    with open_guarded("webgpu:0", opener(None)) as engine:
        assert engine.device == "cpu"
        assert "does not load" in engine.take_note()
        np.testing.assert_array_equal(engine.run({"x": PICTURES})["y"], 2 * PICTURES)


def test_a_card_whose_model_the_cpu_cannot_open_fails_in_its_own_words() -> None:
    def gone() -> Engine:
        raise SetupError("model.engine", "runs on its card only", "give its source")

    with GuardedEngine(Card("cuda:0", calls=0), gone) as engine:
        with pytest.raises(DeviceError, match=r"cuda:0: .*device lost"):
            engine.run({"x": PICTURES})
        assert engine.device == "cuda:0"


def test_what_is_wrong_with_the_request_is_no_failure_of_the_card() -> None:
    class Small(Card):
        def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
            raise SetupError("model.engine", "built for smaller pictures", "give a smaller --size")

    with (
        open_guarded("cuda:0", lambda device: Small(device)) as engine,
        pytest.raises(SetupError, match="--size"),
    ):
        engine.run({"x": PICTURES})
    assert engine.take_note() == ""


def test_a_compiled_file_goes_on_as_what_it_was_made_of(
    toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(OnnxEngine):
        """Opens the toy in place of what was compiled of it, on a card that is lost at once."""

        def __init__(self, path: Path, device: str, threads: int | None) -> None:
            super().__init__(toy_model, "cpu", threads)
            self.device = device
            if device == "rtx":
                command = f"colorcli export {toy_model} -o {path} --overwrite"
                self.metadata = {**self.metadata, REBUILD_KEY: command}

        def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
            if self.device == "rtx":
                raise DeviceError("rtx", "the device failed (device lost)", "continue with --resume")
            return super().run(tensors)

    monkeypatch.setattr(onnxruntime, "OnnxEngine", Lost)
    compiled = tmp_path / "model.rtx.onnx"
    compiled.touch()
    with registry.open_engine(compiled) as engine, OnnxEngine(toy_model, "cpu") as reference:
        sample = {"condition": sample_condition((3, 4, 32, 32))}
        np.testing.assert_array_equal(engine.run(sample)["chroma"], reference.run(sample)["chroma"])
        assert engine.device == "cpu"
        assert "rtx failed" in engine.take_note()
