"""Pieces of a batch run on the lanes in turn, and their outputs keep the order."""

import numpy as np
import pytest

from colorcli.engines.base import Tensors
from colorcli.engines.builders.parity import sample_condition
from colorcli.engines.lanes import Lane, run_in_lanes


class RecordingLane(Lane):
    """Returns the condition's hint channels, in memory that every run overwrites."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self._memory = np.zeros((8, 2, 32, 32), np.float32)
        self._count: int | None = None

    def start(self, tensors: Tensors) -> None:
        assert self._count is None, "started again before it was finished"
        self.log.append(f"start {self.name}")
        self._count = len(tensors["condition"])
        self._memory[: self._count] = tensors["condition"][:, 1:3]

    def finish(self) -> Tensors:
        assert self._count is not None
        self.log.append(f"finish {self.name}")
        count, self._count = self._count, None
        return {"chroma": self._memory[:count]}


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("pictures", [1, 2, 7, 8, 9])
def test_outputs_are_in_the_order_of_the_batch(lanes: int, pictures: int) -> None:
    condition = sample_condition((pictures, 4, 32, 32))
    condition[:, 1] = np.arange(pictures)[:, None, None]
    recording = [RecordingLane(str(n), []) for n in range(lanes)]
    outputs = run_in_lanes(recording, {"condition": condition}, 2)
    np.testing.assert_array_equal(outputs["chroma"], condition[:, 1:3])


def test_the_next_piece_starts_before_the_previous_is_finished() -> None:
    log: list[str] = []
    batch = {"condition": sample_condition((6, 4, 32, 32))}
    run_in_lanes([RecordingLane("a", log), RecordingLane("b", log)], batch, 2)
    assert log == ["start a", "start b", "finish a", "start a", "finish b", "finish a"]
