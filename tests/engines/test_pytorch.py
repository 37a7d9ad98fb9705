"""PyTorch on a card that fails, simulated: PyTorch's own errors reach the guard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="pip install 'colorcli[train]'")

from colorcli.engines import pytorch, pytorch_cuda, registry  # noqa: E402
from colorcli.engines.base import DeviceError  # noqa: E402
from colorcli.engines.builders.parity import sample_condition  # noqa: E402


class Card:
    """Computes on the CPU; takes `largest` pictures at once, and is lost after `calls` calls."""

    largest, calls = 99, 99

    def __init__(self, generator: "torch.nn.Module", device: "torch.device") -> None:
        self._generator, self._left = generator, self.calls

    def __call__(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(condition) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return pytorch._run_on_cpu(self._generator, condition)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how large the batches are, and how many, that the only card of this machine takes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def configured(**limits: int) -> None:
        monkeypatch.setattr(pytorch_cuda, "GraphRunner", type("Limited", (Card,), limits))

    return configured


@pytest.mark.parametrize(
    ("limits", "device", "said"),
    [
        ({"largest": 2}, "cuda:0", "batches of 2 from here on (the device failed (CUDA out of memory))"),
        ({"calls": 0}, "cpu", "on the CPU from here on (the device failed (CUDA error: unspecified"),
    ],
)
def test_what_fails_is_done_again(
    card: Any, checkpoint: Path, limits: dict[str, int], device: str, said: str
) -> None:
    card(**limits)
    condition = sample_condition((5, 4, 32, 32))
    with registry.open_engine(checkpoint) as engine:
        chroma = engine.run({"condition": condition})["chroma"]
        assert engine.device == device
        assert said in engine.take_note()
    with registry.open_engine(checkpoint, "cpu") as reference:
        expected = reference.run({"condition": condition})["chroma"]
        np.testing.assert_allclose(chroma, expected, atol=2e-5)


def test_a_card_that_was_named_fails_instead(card: Any, checkpoint: Path) -> None:
    card(calls=0)
    with (
        registry.open_engine(checkpoint, "cuda") as engine,
        pytest.raises(DeviceError, match=r"cuda:0: .*launch failure.*--resume"),
    ):
        engine.run({"condition": sample_condition((1, 4, 32, 32))})
