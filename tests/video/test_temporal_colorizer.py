"""Temporal colorizer: colors follow what moves, a cut resets them, and a resumed run is the same."""

from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.video.temporal_colorizer import (
    LONGEST_WINDOW,
    ColoredStep,
    PerFrameColorizer,
    Step,
    TemporalColorizer,
)

HEIGHT, WIDTH = 96, 128
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


def steps(lumas: list[Plane], start: int = 0) -> list[Step]:
    return [Step(start + number, luma) for number, luma in enumerate(lumas)]


def colorize(lumas: list[Plane], **kwargs: object) -> list[ColoredStep]:
    return list(TemporalColorizer(Predictor(), unknown, **kwargs).run(steps(lumas)))  # type: ignore[arg-type]


def test_every_step_comes_out_in_order() -> None:
    lumas = pan(1, 30)
    colored = colorize(lumas)
    assert [part.step.number for part in colored] == list(range(30))
    assert [part.starts_shot for part in colored] == [True] + [False] * 29
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
    lumas = pan(1, 1 + 3 * LONGEST_WINDOW, speed=0)
    list(TemporalColorizer(predictor, unknown).run(steps(lumas)))  # type: ignore[arg-type]
    assert predictor.calls == 4


def test_a_moving_patch_keeps_its_color() -> None:
    """The network makes everything red; a patch that is blue at first stays so as it moves."""
    background, patch = 0.5 * scene(1)[:, :WIDTH], 0.4 + 0.6 * scene(5)[:40, :40]
    lumas = []
    for k in range(LONGEST_WINDOW + 1):
        luma = background.copy()
        luma[28:68, 20 + 2 * k : 60 + 2 * k] = patch
        lumas.append(luma)

    def first_frame(number: int, small: Plane) -> Hints | None:
        if number:
            return None
        chroma = np.broadcast_to(RED[:, None, None], (2, HEIGHT, WIDTH)).copy()
        chroma[:, 28:68, 20:60] = BLUE[:, None, None]
        return Hints(chroma, np.ones((HEIGHT, WIDTH), np.float32))

    red = np.broadcast_to(RED[:, None, None], (2, HEIGHT, WIDTH))
    predictor = SimpleNamespace(predict=lambda lumas, hints: [red])
    colored = list(TemporalColorizer(predictor, first_frame).run(steps(lumas)))  # type: ignore[arg-type]
    for k in (1, 2, 3):
        chroma = colored[k].chroma
        assert chroma is not None
        middle = chroma[:, 38:58, 30 + 2 * k : 50 + 2 * k].mean(axis=(1, 2))
        behind = chroma[:, 38:58, 2:12].mean(axis=(1, 2))
        assert np.linalg.norm(middle - BLUE) < np.linalg.norm(middle - RED)
        assert np.linalg.norm(behind - RED) < 0.02


def test_a_cut_resets_the_colors() -> None:
    colored = colorize(pan(1, 7) + pan(2, 7))
    starts = [part.step.number for part in colored if part.starts_shot]
    assert starts == [0, 7]
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
    assert [part.step.number for part in colored if part.starts_shot] == [0, 3, 6]


def test_resuming_from_any_keyframe_equals_an_uninterrupted_run() -> None:
    lumas = pan(1, 20) + pan(2, 20)
    constant = Predictor(waver=0)
    whole = list(TemporalColorizer(constant, unknown).run(steps(lumas)))  # type: ignore[arg-type]
    places = [place for place, part in enumerate(whole[:-1]) if part.is_resumable]
    assert len(places) > 3
    for place in places:
        rest = TemporalColorizer(constant, unknown, whole[place].keyframe)  # type: ignore[arg-type]
        continued = list(rest.run(steps(lumas[place + 1 :], place + 1)))
        for one, other in zip(continued, whole[place + 1 :], strict=True):
            assert np.array_equal(one.chroma, other.chroma)  # type: ignore[arg-type]
            assert (one.starts_shot, one.is_resumable) == (other.starts_shot, other.is_resumable)


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
