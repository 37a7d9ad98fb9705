"""Upsampled chroma follows the picture's luma."""

import numpy as np
import pytest

from colorcli.color.guided_filter import guided_upsample
from colorcli.color.ycbcr import Plane

SMALL, LARGE = (40, 60), (160, 240)


def step(shape: tuple[int, int]) -> Plane:
    """Luma: dark left half, bright right half."""
    luma = np.full(shape, 0.3, np.float32)
    luma[:, shape[1] // 2 :] = 0.7
    return luma


def test_even_chroma_stays_even_whatever_the_luma() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.random(SMALL, np.float32), rng.random(LARGE, np.float32)
    chroma = guided_upsample(np.full((2, *SMALL), 0.2, np.float32), small, large)
    assert chroma.shape == (2, *LARGE)
    assert chroma == pytest.approx(0.2, abs=1e-4)


def test_an_edge_that_luma_has_too_stays_within_a_pixel() -> None:
    small = np.stack([0.5 * step(SMALL), -0.25 * step(SMALL)])
    chroma = guided_upsample(small, step(SMALL), step(LARGE))
    before, after = (chroma[:, :, column].mean(axis=1) for column in (119, 120))
    assert ((after - before) / (0.2, -0.1) > 0.8).all()


def test_grain_in_flat_areas_gets_no_color() -> None:
    rng = np.random.default_rng(0)
    grain = 0.5 + 0.01 * rng.standard_normal(LARGE, np.float32)
    small = np.full(SMALL, 0.5, np.float32) + 0.003 * rng.standard_normal(SMALL, np.float32)
    chroma = guided_upsample(np.full((2, *SMALL), 0.1, np.float32), small, grain)
    assert chroma.std() < 0.001
