"""Pieces of a batch take turns on the lanes, and come back in order."""

import numpy as np
import pytest
from numpy.typing import NDArray

from colorcli.engines.builders.parity import sample_condition
from colorcli.engines.lanes import Lane, run_in_lanes


class RecordingLane(Lane):
    """Gives the condition's hint channels back; its memory is used again at every turn."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self._memory = np.zeros((8, 2, 32, 32), np.float32)
        self._count: int | None = None

    def start(self, condition: NDArray[np.float32]) -> None:
        assert self._count is None, "started again before it was finished"
        self.log.append(f"start {self.name}")
        self._count = len(condition)
        self._memory[: self._count] = condition[:, 1:3]

    def finish(self) -> NDArray[np.float32]:
        assert self._count is not None
        self.log.append(f"finish {self.name}")
        count, self._count = self._count, None
        return self._memory[:count]


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("pictures", [1, 2, 7, 8, 9])
def test_every_picture_comes_back_in_its_place(lanes: int, pictures: int) -> None:
    condition = sample_condition((pictures, 4, 32, 32))
    condition[:, 1] = np.arange(pictures)[:, None, None]
    chroma = run_in_lanes([RecordingLane(str(n), []) for n in range(lanes)], condition, 2)
    np.testing.assert_array_equal(chroma, condition[:, 1:3])


def test_the_next_piece_starts_before_the_last_is_waited_for() -> None:
    log: list[str] = []
    run_in_lanes([RecordingLane("a", log), RecordingLane("b", log)], sample_condition((6, 4, 32, 32)), 2)
    assert log == ["start a", "start b", "finish a", "start a", "finish b", "finish a"]
