"""`--device auto`: a measurement decides, once, and nothing that a driver does stops the run."""

import json
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from numpy.typing import NDArray

from colorcli.engines import choice, gpus
from colorcli.engines.base import Engine, Tensors
from colorcli.engines.device import Device
from colorcli.engines.onnxruntime import PROVIDERS, OnnxEngine
from colorcli.errors import SetupError


class Timed(Engine):
    """The model on the CPU, each run prolonged by some seconds."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._engine, self._seconds = engine, seconds
        self.metadata, self.inputs = engine.metadata, engine.inputs
        self.outputs, self.device = engine.outputs, engine.device

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        sleep(self._seconds)
        return self._engine.run(tensors)


@pytest.fixture
def opened(toy_model: Path) -> list[str]:
    return []


@pytest.fixture
def open_on(toy_model: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Opens a model whose runs take a hundredth of a second on the CPU, and `seconds` on each card."""
    monkeypatch.setattr(choice, "cache_folder", lambda name: tmp_path)

    def configured(**seconds: float) -> Callable[[str], Engine]:
        monkeypatch.setattr(choice, "candidates", lambda: [Device.parse(name) for name in seconds])

        def open_on(device: str) -> Engine:
            opened.append(device)
            time = {"cpu": 0.01, **seconds}[device.partition(":")[0]]
            if time < 0:
                raise RuntimeError("a driver's own exception")
            return Timed(OnnxEngine(toy_model, "cpu"), time)

        return open_on

    return configured


def test_without_a_gpu_nothing_is_measured(toy_model: Path, open_on: Any, opened: list[str]) -> None:
    assert choice.fastest_device(toy_model, open_on()) == "cpu"
    assert opened == []


def test_a_card_is_chosen_only_if_it_beats_the_cpu(toy_model: Path, open_on: Any) -> None:
    assert choice.fastest_device(toy_model, open_on(webgpu=0.05)) == "cpu"
    assert choice.fastest_device(toy_model, open_on(rtx=0.05, cuda=0.0)) == "cuda:0"
    assert choice.fastest_device(toy_model, open_on(cuda=-1, webgpu=0.0)) == "webgpu:0"


def test_a_card_that_gives_other_colors_is_not_chosen(toy_model: Path, open_on: Any) -> None:
    use = open_on(coreml=0.0)

    class Wrong(Timed):
        def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
            return {name: 1.2 * values for name, values in super().run(tensors).items()}

    def wrong(device: str) -> Engine:
        return use(device) if device == "cpu" else Wrong(use(device), 0)

    assert choice.fastest_device(toy_model, wrong) == "cpu"
    choice.forget()
    assert choice.fastest_device(toy_model, use) == "coreml"


def test_coreml_is_a_device_where_onnx_runtime_carries_it(
    toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SetupError, match=r"CoreML.*macOS only"):
        OnnxEngine(toy_model, "coreml")
    assert Device("coreml") not in gpus.candidates()
    providers = [gpus.COREML, *gpus.ort.get_available_providers()]
    monkeypatch.setattr(gpus.ort, "get_available_providers", lambda: providers)
    assert Device("coreml") in gpus.candidates()
    monkeypatch.setitem(PROVIDERS, "coreml", "CPUExecutionProvider")
    assert OnnxEngine(toy_model, "coreml").device == "coreml"


def test_a_measurement_is_remembered_until_it_is_forgotten(
    toy_model: Path, open_on: Any, opened: list[str]
) -> None:
    use = open_on(webgpu=0.0)
    assert choice.fastest_device(toy_model, use) == "webgpu:0"
    opened.clear()
    assert choice.fastest_device(toy_model, use) == "webgpu:0"
    assert opened == []
    choice.forget()
    choice.fastest_device(toy_model, use)
    assert opened == ["cpu", "webgpu:0"]


def test_a_driver_that_crashes_the_process_does_so_once(
    toy_model: Path, open_on: Any, tmp_path: Path
) -> None:
    use = open_on(webgpu=0.0)

    def crash(device: str) -> Engine:
        if device == "cpu":
            return use(device)
        raise SystemExit("as if the process died")

    with pytest.raises(SystemExit):
        choice.fastest_device(toy_model, crash)
    assert list(json.loads((tmp_path / "fastest.json").read_text()).values()) == ["cpu"]
    assert choice.fastest_device(toy_model, use) == "cpu"


def test_a_damaged_memory_is_measured_again(toy_model: Path, open_on: Any, tmp_path: Path) -> None:
    (tmp_path / "fastest.json").write_text("{")
    assert choice.fastest_device(toy_model, open_on(webgpu=0.0)) == "webgpu:0"


def test_a_run_needs_no_cache_folder(
    toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(choice, "candidates", lambda: [Device.parse("webgpu")])
    assert choice.fastest_device(toy_model, lambda device: OnnxEngine(toy_model, "cpu")) in (
        "cpu",
        "webgpu:0",
    )
    with pytest.raises(SetupError, match="set XDG_CACHE_HOME"):
        choice.forget()


def test_a_device_that_fails_is_an_error_where_it_was_named(
    toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = OnnxEngine(toy_model, "cpu")
    engine.device = "webgpu:0"
    with pytest.raises(SetupError, match=r"webgpu:0: the device failed .*--resume"):
        engine.run({})
