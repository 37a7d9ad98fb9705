"""Color is told from tints, tones and noise, in pictures and from frame to frame."""

import numpy as np
import pytest

from colorcli.color.detection import (
    COLORED,
    COLORLESS,
    GRID,
    ColorDetector,
    FrameChroma,
    has_color,
    unexplained_chroma,
)
from colorcli.color.ycbcr import Plane

SHAPE = (90, 120)


@pytest.fixture
def luma() -> Plane:
    """A gradient with texture."""
    noise = np.random.default_rng(1).normal(0, 0.1, SHAPE)
    return np.clip(np.linspace(0, 1, SHAPE[1])[None] + noise, 0, 1).astype(np.float32)


def patches(strength: float) -> Plane:
    """Chroma [2, h, w] of areas in opposite hues, independent of luma."""
    sign = np.where(np.arange(SHAPE[0]) % 30 < 15, 1, -1)[:, None]
    plane = np.broadcast_to(strength * sign / np.sqrt(2), SHAPE)
    return np.stack([plane, -plane]).astype(np.float32)


def test_gray_has_no_color(luma: Plane) -> None:
    assert unexplained_chroma(luma, np.zeros((2, *SHAPE), np.float32)) == 0


@pytest.mark.parametrize("strength", [0.03, 0.1, 0.2])
def test_a_tint_and_a_tone_are_no_color(luma: Plane, strength: float) -> None:
    tint = np.stack([np.full(SHAPE, -strength), np.full(SHAPE, strength / 2)]).astype(np.float32)
    tone = tint * np.sin(np.pi * luma)  # strongest in the midtones, as in a print
    assert not has_color(luma, tint)
    assert not has_color(luma, tone)


def test_a_faded_tone_is_no_color(luma: Plane) -> None:
    """A tone of varying strength has one hue."""
    fading = np.linspace(0.06, 0.1, SHAPE[0], dtype=np.float32)[:, None]
    tone = np.stack([-fading * luma, fading / 2 * luma])
    assert not has_color(luma, tone)


def test_pixel_noise_is_no_color(luma: Plane) -> None:
    noise = np.random.default_rng(2).normal(0, 0.01, (2, *SHAPE)).astype(np.float32)
    assert not has_color(luma, noise)


def test_two_hues_are_color(luma: Plane) -> None:
    assert has_color(luma, patches(0.03))


def test_color_under_a_tint_is_color(luma: Plane) -> None:
    """Hues differ across the tint's own."""
    tint = np.array([-0.03, -0.03], np.float32)[:, None, None]
    assert has_color(luma, tint + patches(0.04))


def test_frames_near_the_limit_are_what_the_previous_frame_was(luma: Plane) -> None:
    between = patches((COLORED + COLORLESS) / 2)
    assert COLORLESS < unexplained_chroma(luma, between) < COLORED
    for before in (False, True):
        assert ColorDetector(has_color=before).detect(FrameChroma(luma, between)) is before
    detector = ColorDetector()
    frames = [patches(0), between, patches(0.05), between, patches(0), between]
    assert [detector.detect(FrameChroma(luma, frame)) for frame in frames] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def noise(seed: int, strength: float) -> Plane:
    """Chroma noise in blots, as of analog tape."""
    blots = np.random.default_rng(seed).normal(0, strength, (2, SHAPE[0] // 5, SHAPE[1] // 5))
    return blots.repeat(5, axis=1).repeat(5, axis=2).astype(np.float32)


def test_noise_that_changes_with_every_frame_is_no_color(luma: Plane) -> None:
    first, second, third = (FrameChroma(luma, noise(seed, 0.014)) for seed in (3, 4, 5))
    assert ColorDetector().detect(second)
    assert not ColorDetector().detect(second, [first, third])
    assert ColorDetector().detect(FrameChroma(luma, patches(0.03)), [FrameChroma(luma, patches(0.03)), first])


@pytest.mark.parametrize("place", [np.s_[:, 40:45, 60:66], np.s_[:, -12:-6, 30:90]])
def test_a_logo_and_a_time_code_are_no_color(luma: Plane, place: tuple[slice, ...]) -> None:
    chroma = np.zeros((2, *SHAPE), np.float32)
    chroma[place] = np.array([-0.4, 0.1])[:, None, None]
    assert has_color(luma, chroma)
    assert not ColorDetector().detect(FrameChroma(luma, chroma))


def test_the_cells_of_a_small_colored_part_that_stays_are_known(luma: Plane) -> None:
    chroma = noise(3, 0.01)
    chroma[:, 40:45, 60:66] = np.array([-0.4, 0.1])[:, None, None]
    frame, still, gone = (FrameChroma(luma, values) for values in (chroma, chroma, noise(4, 0.01)))
    rows, columns = np.divmod(frame.own_cells([still, still]), GRID[1])
    assert set(rows) <= set(range(40 * GRID[0] // SHAPE[0], 44 * GRID[0] // SHAPE[0] + 2))
    assert set(columns) <= set(range(60 * GRID[1] // SHAPE[1] - 1, 65 * GRID[1] // SHAPE[1] + 2))
    assert len(rows)
    assert not frame.own_cells([still, gone])
    assert not FrameChroma(luma, noise(5, 0.014)).own_cells([])
