import numpy as np
import pytest

from colorcli.color import ycbcr as color

MATRICES = [color.BT601, color.BT709, color.BT2020]


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(1).random((3, 40, 50), dtype=np.float32)


@pytest.mark.parametrize("matrix", MATRICES)
def test_round_trip(rgb: np.ndarray, matrix: color.Matrix) -> None:
    luma, chroma = color.ycbcr_from_rgb(rgb, matrix)
    assert np.abs(color.rgb_from_ycbcr(luma, chroma, matrix) - rgb).max() < 1e-5
    assert np.abs(chroma).max() <= 0.5


@pytest.mark.parametrize("matrix", MATRICES)
def test_chroma_does_not_change_luma(matrix: color.Matrix) -> None:
    rng = np.random.default_rng(2)
    luma = rng.random((40, 50), dtype=np.float32)
    chroma = rng.uniform(-0.5, 0.5, (2, 40, 50)).astype(np.float32)
    fitted = color.fit_gamut(luma, chroma, matrix)
    made = color.rgb_from_ycbcr(luma, fitted, matrix)
    assert made.min() > -1e-5
    assert made.max() < 1 + 1e-5
    assert np.abs(color.luma_of(np.clip(made, 0, 1), matrix) - luma).max() < 1e-5


def test_colors_inside_the_gamut_are_not_touched(rgb: np.ndarray) -> None:
    luma, chroma = color.ycbcr_from_rgb(rgb)
    assert np.abs(color.fit_gamut(luma, chroma) - chroma).max() < 1e-5


def test_fitting_the_gamut_keeps_hue() -> None:
    luma = np.full((1, 1), 0.9, np.float32)
    chroma = np.array([0.1, 0.4], np.float32).reshape(2, 1, 1)
    fitted = color.fit_gamut(luma, chroma)
    assert fitted[0] / fitted[1] == pytest.approx(0.25, rel=1e-5)


def test_rematrix_keeps_color_differences(rgb: np.ndarray) -> None:
    _, chroma = color.ycbcr_from_rgb(rgb)
    carried = color.rematrix(chroma, color.BT601, color.BT709)
    before = color.color_difference(chroma, color.BT601)
    after = color.color_difference(carried, color.BT709)
    assert np.abs(after[[0, 2]] - before[[0, 2]]).max() < 1e-5
