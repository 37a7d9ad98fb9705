"""Scores distinguish colors, and each average is the one that its name says."""

import math

import numpy as np
import pytest

from colorcli.evaluation.metrics import EXACT_PSNR, colorfulness, mean_scores, psnr, score
from colorcli.evaluation.pictures import Picture


def flat(*rgb: int) -> Picture:
    return np.full((16, 16, 3), rgb, np.uint8)


@pytest.fixture
def scene() -> Picture:
    return np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)


def test_a_picture_equals_itself(scene: Picture) -> None:
    scores = score(scene, scene)
    assert scores.psnr == scores.psnr_of_mse == EXACT_PSNR
    assert scores.ssim == pytest.approx(1)
    assert scores.mse == scores.ciede2000 == scores.colorfulness_distance == 0
    assert scores.colorfulness > 0


def test_color_difference_is_ciede2000() -> None:
    # Red and green of sRGB under D65, by Sharma's own implementation.
    assert score(flat(255, 0, 0), flat(0, 255, 0)).ciede2000 == pytest.approx(86.61, abs=0.02)


def test_psnr_is_over_all_three_channels() -> None:
    scores = score(flat(100, 100, 100), flat(103, 100, 100))
    assert scores.mse == pytest.approx(3)
    assert scores.psnr == pytest.approx(10 * math.log10(255**2 / 3))


def test_wrong_colors_are_no_better_than_gray() -> None:
    skin, wrong, gray = flat(200, 150, 120), flat(90, 180, 200), flat(161, 161, 161)
    assert score(skin, wrong).ciede2000 > score(skin, gray).ciede2000


def test_gray_has_no_colorfulness_and_all_of_the_distance(scene: Picture) -> None:
    gray = np.repeat(scene[..., 1:2], 3, axis=2)
    scores = score(scene, gray)
    assert scores.colorfulness == 0
    assert scores.colorfulness_distance == score(scene, scene).colorfulness


def test_the_two_averages_of_psnr_differ_as_named() -> None:
    near, far = (
        score(flat(100, 100, 100), flat(101, 101, 101)),
        score(flat(100, 100, 100), flat(140, 140, 140)),
    )
    both = mean_scores([near, far])
    assert both.psnr == pytest.approx((near.psnr + far.psnr) / 2)
    assert both.psnr_of_mse == pytest.approx(psnr((1 + 1600) / 2))
    assert both.psnr_of_mse < both.psnr


def test_colorfulness_of_known_pictures() -> None:
    assert colorfulness(np.full((4, 4, 3), 77, np.uint8)) == 0
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert colorfulness(red) == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-5)
