"""Temporal colorizer: colors hold for seconds, a cut resets them, and a resumed run is the same."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.video.corrections import Correction
from colorcli.video.temporal_colorizer import (
    LOOKAHEAD,
    MOST_HELD_BYTES,
    ColoredStep,
    PerFrameColorizer,
    Step,
    TemporalColorizer,
    lookahead_for,
)

HEIGHT, WIDTH = 96, 128
WINDOW = LOOKAHEAD // 2
"""Steps from keyframe to keyframe where the flow explains everything."""
RED, BLUE = np.array([-0.1, 0.2], np.float32), np.array([0.2, -0.1], np.float32)


class Predictor:
    """A network whose colors waver: red on the first call, then slightly different each time."""

    def __init__(self, waver: float = 0.02) -> None:
        self.calls = 0
        self._waver = waver

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        (luma,) = lumas
        color = RED + self._waver * np.sin(self.calls, dtype=np.float32)
        self.calls += 1
        return [np.broadcast_to(color[:, None, None], (2, *luma.shape)) * (0.5 + luma)]


class Sequenced:
    """A network that predicts one color for the whole picture, by how often it has run before."""

    def __init__(self, color: Callable[[int], Plane]) -> None:
        self.calls, self._color = 0, color

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        (luma,) = lumas
        self.calls += 1
        return [np.broadcast_to(self._color(self.calls - 1)[:, None, None], (2, *luma.shape)).copy()]


def unknown(number: int, small: Plane) -> None:
    """No hints."""


def scene(seed: int) -> Plane:
    random = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(random.random((HEIGHT, 2 * WIDTH)), (0, 0), sigma) for sigma in (2, 6)]
    total = sum((layer - layer.mean()) / layer.std() for layer in layers)
    return np.clip(0.5 + 0.13 * total, 0, 1).astype(np.float32)


def pan(seed: int, count: int, speed: int = 2) -> list[Plane]:
    """Lumas of a camera that moves to the right."""
    return [scene(seed)[:, speed * k : speed * k + WIDTH] for k in range(count)]


def steps(lumas: list[Plane], start: int = 0, shots: Sequence[int] = (0,)) -> list[Step]:
    """Steps numbered from `start`; a shot starts at the numbers `shots`."""
    return [Step(number, luma, starts_shot=number in shots) for number, luma in enumerate(lumas, start)]


def colorize(lumas: list[Plane], **kwargs: object) -> list[ColoredStep]:
    return list(TemporalColorizer(Predictor(), unknown, **kwargs).run(steps(lumas)))  # type: ignore[arg-type]


def test_every_step_comes_out_in_order() -> None:
    lumas = pan(1, 30)
    colored = colorize(lumas)
    assert [part.step.number for part in colored] == list(range(30))
    assert all(part.chroma is not None and part.chroma.shape == (2, HEIGHT, WIDTH) for part in colored)


def test_colors_are_steadier_than_the_network() -> None:
    lumas = pan(1, 40, speed=0)

    def flicker(colored: list[ColoredStep]) -> float:
        chromas = [part.chroma for part in colored]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(chromas)]))

    alone = list(PerFrameColorizer(Predictor(), unknown).run(steps(lumas)))  # type: ignore[arg-type]
    assert flicker(colorize(lumas)) < 0.25 * flicker(alone)


def test_the_network_runs_once_a_window() -> None:
    predictor = Predictor()
    lumas = pan(1, 1 + 3 * WINDOW, speed=0)
    list(TemporalColorizer(predictor, unknown).run(steps(lumas)))  # type: ignore[arg-type]
    assert predictor.calls == 4


def moving_patch(count: int) -> list[Plane]:
    """A bright patch that moves one pixel a step over a dark background."""
    background, patch = 0.5 * scene(1)[:, :WIDTH], 0.4 + 0.6 * scene(5)[:40, :40]
    lumas = []
    for k in range(count):
        luma = background.copy()
        luma[28:68, 8 + k : 48 + k] = patch
        lumas.append(luma)
    return lumas


def color_of_patch(colored: ColoredStep) -> Plane:
    """Mean chroma [2] of the patch's middle."""
    assert colored.chroma is not None
    left = 8 + colored.step.number
    return colored.chroma[:, 38:58, left + 10 : left + 30].mean(axis=(1, 2))


def test_a_hinted_patch_keeps_its_color_as_it_moves() -> None:
    """The network makes everything red; a patch that is known to be blue at first stays blue."""

    def first_frame(number: int, small: Plane) -> Hints | None:
        if number:
            return None
        chroma = np.broadcast_to(RED[:, None, None], (2, HEIGHT, WIDTH)).copy()
        chroma[:, 28:68, 8:48] = BLUE[:, None, None]
        return Hints(chroma, np.ones((HEIGHT, WIDTH), np.float32))

    network = Sequenced(lambda call: RED)
    for colored in list(TemporalColorizer(network, first_frame).run(steps(moving_patch(13))))[:4]:  # type: ignore[arg-type]
        assert colored.chroma is not None
        patch, behind = color_of_patch(colored), colored.chroma[:, 76:92, 8:120].mean(axis=(1, 2))
        assert np.linalg.norm(patch - BLUE) < np.linalg.norm(patch - RED)
        assert np.linalg.norm(behind - RED) < 0.02


def test_a_moving_patch_keeps_its_color_though_predictions_alternate() -> None:
    saturated, grayish = np.float32([0.05, 0.1]), np.float32([0.0, 0.02])
    network = Sequenced(lambda call: (saturated, grayish)[call % 2])
    colored = TemporalColorizer(network, unknown).run(steps(moving_patch(72)))  # type: ignore[arg-type]
    colors = np.stack([color_of_patch(part) for part in colored])
    change = np.abs(colors[24:] - colors[:-24]).sum(axis=1).max()
    assert change < 0.2 * np.abs(saturated - grayish).sum()


def test_a_wrong_first_prediction_is_outvoted_at_once() -> None:
    network = Sequenced(lambda call: BLUE if call == 0 else RED)
    colored = list(TemporalColorizer(network, unknown).run(steps(moving_patch(72))))  # type: ignore[arg-type]
    first, last = color_of_patch(colored[0]), color_of_patch(colored[-1])
    assert np.linalg.norm(first - RED) < np.linalg.norm(first - BLUE)
    assert np.linalg.norm(last - RED) < 0.25 * np.linalg.norm(last - BLUE)


def test_with_a_memory_a_shot_ends_with_about_the_colors_that_it_had() -> None:
    """The memory decides on the last picture by one prediction, here a wrong one."""
    nothing = np.zeros((3, HEIGHT // 2, WIDTH // 2), np.float16)
    memory = SimpleNamespace(correct=lambda *_, is_last: Correction(nothing, nothing[0], nothing[0]))
    wrong = RED + np.float32([0.06, -0.06])
    network = Sequenced(lambda call: wrong if call == 4 else RED)
    given = steps(pan(1, 1 + 3 * WINDOW + 5, speed=0))
    *_, last = TemporalColorizer(network, unknown, memory=memory).run(given)  # type: ignore[arg-type]
    assert network.calls == 5
    assert last.chroma is not None
    change = np.linalg.norm(last.chroma.mean(axis=(1, 2)) - RED)
    assert 0 < change < 0.4 * np.linalg.norm(wrong - RED)


def test_wrong_predictions_of_a_second_do_not_last() -> None:
    wrong, right = np.float32([-0.05, 0.05]), np.float32([0.05, -0.05])
    network = Sequenced(lambda call: wrong if call < 3 else right)
    *_, last = TemporalColorizer(network, unknown).run(steps(pan(1, 400, speed=0)))  # type: ignore[arg-type]
    assert last.chroma is not None
    assert np.abs(last.chroma - right[:, None, None]).max() < 0.02


def test_predictions_that_agree_are_not_changed() -> None:
    network = Sequenced(lambda call: RED)
    for colored in TemporalColorizer(network, unknown).run(steps(moving_patch(40))):  # type: ignore[arg-type]
        assert colored.chroma is not None
        assert np.abs(colored.chroma - RED[:, None, None]).max() < 1e-5


def test_keyframes_vote_within_their_shot_only() -> None:
    lumas = pan(1, 30, speed=1) + pan(2, 30, speed=1)
    given = steps(lumas, shots=(0, 30))
    first_shot = 1 + -(-29 // WINDOW)
    network = Sequenced(lambda call: RED if call < first_shot else BLUE)
    colored = list(TemporalColorizer(network, unknown).run(given))  # type: ignore[arg-type]
    for part in colored:
        color = RED if part.step.number < 30 else BLUE
        assert part.chroma is not None
        assert np.abs(part.chroma - color[:, None, None]).max() < 1e-5


def test_a_cut_resets_the_colors() -> None:
    given = steps(pan(1, 7) + pan(2, 7), shots=(0, 7))
    colored = list(TemporalColorizer(Predictor(), unknown).run(given))  # type: ignore[arg-type]
    keyframe = colored[7].keyframe
    assert keyframe is not None
    again = colorize(pan(2, 1))[0].chroma
    assert again is not None
    # Nothing of the first shot is in it, but the network's own change from call to call.
    assert np.abs(keyframe.chroma - again).max() < 0.05


def test_frames_that_keep_their_color_have_no_chroma() -> None:
    lumas = pan(1, 9)
    given = [Step(n, luma, keeps_color=3 <= n < 6) for n, luma in enumerate(lumas)]
    colored = list(TemporalColorizer(Predictor(), unknown).run(given))  # type: ignore[arg-type]
    assert [part.chroma is None for part in colored] == [3 <= n < 6 for n in range(9)]


@pytest.mark.parametrize("lookahead", [2, 8, LOOKAHEAD])
def test_resuming_from_any_keyframe_equals_an_uninterrupted_run(lookahead: int) -> None:
    first, second = min(60, 10 * lookahead), min(20, 4 * lookahead)
    lumas = pan(1, first) + pan(2, second)

    def predict(lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        """Colors that depend on the picture, not on how many there were before."""
        wavering = np.sin(1e4 * lumas[0].mean(dtype=np.float64))
        return [np.full((2, HEIGHT, WIDTH), 0.1 * wavering, np.float32) * (0.5 + lumas[0])]

    network = SimpleNamespace(predict=predict)
    whole = list(TemporalColorizer(network, unknown, None, lookahead).run(steps(lumas, shots=(0, first))))  # type: ignore[arg-type]
    places = [place for place, part in enumerate(whole[:-1]) if part.is_resumable]
    assert len(places) > 6
    for place in places:
        rest = TemporalColorizer(network, unknown, whole[place].keyframe, lookahead)  # type: ignore[arg-type]
        continued = list(rest.run(steps(lumas[place + 1 :], place + 1, shots=(first,))))
        for one, other in zip(continued, whole[place + 1 :], strict=True):
            assert np.array_equal(one.chroma, other.chroma)  # type: ignore[arg-type]
            assert one.is_resumable == other.is_resumable


@pytest.mark.parametrize("lookahead", [2, 3, 8, LOOKAHEAD])
def test_fewer_pictures_are_held_than_twice_the_lookahead(lookahead: int) -> None:
    given: list[Step] = []

    def counted() -> Iterator[Step]:
        for step in steps(pan(1, 80, speed=1)):
            given.append(step)
            yield step

    colorizer = TemporalColorizer(Predictor(), unknown, None, lookahead)  # type: ignore[arg-type]
    for finished, _ in enumerate(colorizer.run(counted())):
        assert len(given) - finished <= 2 * lookahead


@pytest.mark.parametrize(
    ("width", "height", "bytes_per_pixel"), [(640, 480, 1.75), (3840, 2160, 1.75), (4096, 3112, 7)]
)
def test_held_pictures_fit_into_memory_at_any_size(width: int, height: int, bytes_per_pixel: float) -> None:
    size = int(width * height * bytes_per_pixel)
    assert 2 * lookahead_for(size) * size <= MOST_HELD_BYTES or lookahead_for(size) == 2
    assert lookahead_for(640 * 480 * 2) == LOOKAHEAD


def test_hints_are_met_exactly_where_they_are_certain() -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, : WIDTH // 2] = 1
    hints = Hints(np.broadcast_to(BLUE[:, None, None], (2, HEIGHT, WIDTH)), mask)
    (colored,) = TemporalColorizer(Predictor(), lambda number, small: hints).run(steps(pan(1, 1)))  # type: ignore[arg-type]
    assert colored.chroma is not None
    assert colored.chroma[:, :, : WIDTH // 2] == pytest.approx(hints.chroma[:, :, : WIDTH // 2], abs=1e-6)


def test_per_frame_colors_are_the_networks_own() -> None:
    lumas = pan(1, 5)
    colored = list(PerFrameColorizer(Predictor(), unknown).run(steps(lumas)))  # type: ignore[arg-type]
    predictor = Predictor()
    for part, luma in zip(colored, lumas, strict=True):
        assert np.array_equal(part.chroma, predictor.predict([luma], [None])[0])  # type: ignore[arg-type]
        assert part.is_resumable
