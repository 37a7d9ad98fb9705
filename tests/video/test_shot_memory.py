"""Memory across shots: a scene that comes back has its colors again, and nothing else changes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.video import shot_memory
from colorcli.video.corrections import Correction, Memory, PlannedMemory
from colorcli.video.keyframe_voting import ColorEstimate
from colorcli.video.shot_memory import ShotMemory
from colorcli.video.temporal_colorizer import ColoredStep, Step, TemporalColorizer

HEIGHT, WIDTH = 128, 192


class Network:
    """A network that predicts one color for the whole picture, another one for each picture."""

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        color = 0.15 * np.sin(1e4 * lumas[0].mean(dtype=np.float64) + np.array([0, 2]))
        return [np.broadcast_to(color[:, None, None], (2, HEIGHT, WIDTH)).astype(np.float32)]


def scene(seed: int) -> Plane:
    """Things of several sizes, sharp as photographs are."""
    random = np.random.default_rng(seed)
    picture = np.full((HEIGHT, 2 * WIDTH), 0.5, np.float32)
    for size in np.linspace(60, 4, 60):
        x, y = random.integers(0, 2 * WIDTH), random.integers(0, HEIGHT)
        shape = cv2.ellipse if random.random() < 0.5 else cv2.rectangle
        level = float(random.random())
        if shape is cv2.rectangle:
            cv2.rectangle(picture, (int(x), int(y)), (int(x + size), int(y + size)), level, -1)
        else:
            axes = int(size), int(size / 2)
            cv2.ellipse(picture, (int(x), int(y)), axes, float(random.integers(180)), 0, 360, level, -1)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def film(shots: Sequence[tuple[int, int]], length: int = 6) -> list[Step]:
    """Shots, each given by the seed of its scene and the place where the camera's pan begins."""
    lumas = [
        (scene(seed)[:, place + k : place + k + WIDTH], k == 0)
        for seed, place in shots
        for k in range(length)
    ]
    return [Step(number, luma, starts_shot=starts) for number, (luma, starts) in enumerate(lumas)]


def unknown(number: int, small: Plane) -> None:
    """No hints."""


def colorize(steps: list[Step], memory: Memory | None) -> list[Plane]:
    colorizer = TemporalColorizer(Network(), unknown, memory=memory)  # type: ignore[arg-type]
    return [chroma_of(colored) for colored in colorizer.run(steps)]


def chroma_of(colored: ColoredStep) -> Plane:
    assert colored.chroma is not None
    return colored.chroma


def test_a_shot_that_goes_on_has_its_colors_again() -> None:
    steps = film([(1, 0), (2, 0), (1, 6)])

    def change(chromas: list[Plane]) -> float:
        """From the end of the first shot to the beginning of the third."""
        return float(np.abs(chromas[5] - chromas[12]).mean())

    forgetful = change(colorize(steps, None))
    assert forgetful > 0.05
    assert change(colorize(steps, ShotMemory())) < 0.2 * forgetful


def test_what_is_new_keeps_the_networks_colors() -> None:
    steps = film([(seed, 0) for seed in range(10, 20)], length=1)
    for one, other in zip(colorize(steps, None), colorize(steps, ShotMemory()), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


class Recorder:
    """A memory that notes what it is asked."""

    def __init__(self) -> None:
        self.memory, self.asked, self.answers = ShotMemory(), [], []  # type: ignore[var-annotated]
        self.recalled = self.memory.recalled

    def correct(
        self, number: int, small: Plane, estimate: ColorEstimate, certainty: Plane | float, *, is_last: bool
    ) -> Correction:
        self.asked.append((number, is_last))
        self.answers.append(self.memory.correct(number, small, estimate, certainty, is_last=is_last))
        return self.answers[-1]


def test_first_and_last_pictures_alone_are_remembered_so_that_they_can_be_planned() -> None:
    steps = film([(1, 0), (2, 0), (1, 6)])
    recorder = Recorder()
    online = colorize(steps, recorder)
    assert recorder.recalled == {0: (), 6: (), 12: (0,)}
    assert recorder.asked == [(0, False), (5, True), (6, False), (11, True), (12, False), (17, True)]
    ahead = ShotMemory()
    planned = []
    for number, is_last in recorder.asked:
        small = steps[number].small
        estimate = ColorEstimate.of(Network().predict([small], [None])[0])
        planned.append(ahead.correct(number, small, estimate, 0.0, is_last=is_last))
    parts = [
        colorize(steps[12:], PlannedMemory(planned[4:])),
        colorize(steps[:12], PlannedMemory(planned[:4])),
    ]
    for one, other in zip(online, parts[1] + parts[0], strict=True):
        assert np.array_equal(one, other)


def test_a_continued_run_remembers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = film([(1, 0), (2, 0), (1, 6)])
    whole = colorize(steps, ShotMemory(tmp_path))
    again = ShotMemory(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shot_memory, "likeness_of", None)  # what has not changed is not compared again
        assert again.restore(12)
    for one, other in zip(whole[12:], colorize(steps[12:], again), strict=True):
        assert np.array_equal(one, other)


def test_nothing_is_restored_of_shots_that_no_longer_follow(tmp_path: Path) -> None:
    steps = film([(1, 0), (2, 0), (1, 6)])
    colorize(steps, ShotMemory(tmp_path))
    for path in [*tmp_path.glob("00000000-*"), *tmp_path.glob("00000005-*")]:
        path.unlink()
    again = ShotMemory(tmp_path)
    assert not again.restore(18), "the third shot remembers the first"
    estimate = ColorEstimate.of(np.zeros((2, HEIGHT, WIDTH), np.float32))
    assert not again.correct(6, steps[6].small, estimate, 0.0, is_last=False).trust.any()


def test_colors_that_a_person_chose_in_one_shot_show_in_later_ones() -> None:
    steps = film([(1, 0), (2, 0), (1, 6), (2, 6), (1, 12)])
    chosen = np.array([-0.2, 0.25], np.float32)[:, None, None]

    def hints(number: int, small: Plane) -> Hints | None:
        if not 12 <= number < 18:
            return None
        return Hints(np.broadcast_to(chosen, (2, *small.shape)), np.ones_like(small))

    colorizer = TemporalColorizer(Network(), hints, memory=ShotMemory())  # type: ignore[arg-type]
    chromas = [chroma_of(colored) for colored in colorizer.run(steps)]
    assert np.abs(chromas[12] - chosen).max() < 1e-3
    assert np.abs(chromas[24] - chosen).mean() < 0.05
    assert np.abs(chromas[0] - chosen).mean() > 0.1


CHOSEN = np.array([-0.2, 0.25], np.float32)[:, None, None]


def with_given(steps: list[Step], number: int, mask: Plane) -> ShotMemory:
    """A memory that knows the colors of a part of a frame."""
    memory = ShotMemory()
    memory.give(number, steps[number].small, Hints(np.broadcast_to(CHOSEN, (2, HEIGHT, WIDTH)), mask))
    return memory


def test_colors_that_a_person_gave_show_in_earlier_shots_and_last() -> None:
    steps = [*film([(1, 0)], length=40), *film([(2, 0), (1, 6)])]
    steps = [replace(step, number=number) for number, step in enumerate(steps)]
    memory = with_given(steps, 48, np.ones((HEIGHT, WIDTH), np.float32))
    plain, chromas = colorize(steps, ShotMemory()), colorize(steps, memory)
    for number in (0, 15, 25, 39, 46):
        assert np.abs(chromas[number] - CHOSEN).mean() < 0.02 < np.abs(plain[number] - CHOSEN).mean()
    for number in range(40, 46):
        assert chromas[number] == pytest.approx(plain[number], abs=1e-6)
    assert memory.recalled == {0: (48,), 40: (), 46: (48,)}


def test_only_what_is_certain_of_given_colors_counts() -> None:
    steps = film([(1, 0), (2, 0), (1, 6)])
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, : WIDTH // 2] = 1
    plain, chromas = colorize(steps, ShotMemory()), colorize(steps, with_given(steps, 14, mask))
    near, far = np.s_[:, :, 20 : WIDTH // 2 - 20], np.s_[:, :, WIDTH // 2 + 40 :]
    assert np.abs(chromas[0] - CHOSEN)[near].mean() < 0.05
    assert np.abs(chromas[0] - plain[0])[far].mean() < 0.01


def test_the_memory_is_bounded_and_what_is_useful_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shot_memory, "CAPACITY", 3)
    memory = ShotMemory()

    def see(shots: Sequence[int]) -> Iterator[bool]:
        for number, seed in enumerate(shots):
            small = scene(seed)[:, :WIDTH]
            estimate = ColorEstimate.of(np.full((2, HEIGHT, WIDTH), 0.01 * number, np.float32))
            yield bool(memory.correct(number, small, estimate, 0.0, is_last=False).trust.any())

    assert list(see([1, 2, 1, 3, 1, 2])) == [False, False, True, False, True, False]
