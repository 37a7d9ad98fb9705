"""Keyframe voting: smoothing removes patches where predictions disagree, and neither edges nor agreement."""

import cv2
import numpy as np
import pytest

from colorcli.color.ycbcr import Plane
from colorcli.video.flow import FlowImage
from colorcli.video.keyframe_voting import ColorEstimate

HEIGHT, WIDTH = 64, 96
HALVES = np.s_[..., : WIDTH // 2], np.s_[..., WIDTH // 2 :]
EDGE = 4
"""Pixels on either side of the edge between them where luma and colors are mixed by resizing."""
RED, BLUE = np.float32([-0.1, 0.2]), np.float32([0.2, -0.1])


def patches(seed: int, strength: float) -> Plane:
    """Chroma [2, h, w] that varies by so much around 0 in small patches."""
    noise = np.random.default_rng(seed).standard_normal((2, HEIGHT, WIDTH)).astype(np.float32)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 1) for plane in noise])
    return blurred * np.float32(strength / blurred.std())


def two_things() -> tuple[Plane, Plane]:
    """Luma of something dark on the left and something bright on the right, and their colors."""
    luma, chroma = np.full((HEIGHT, WIDTH), 0.2, np.float32), np.empty((2, HEIGHT, WIDTH), np.float32)
    luma[HALVES[1]] = 0.7
    for half, color in zip(HALVES, (RED, BLUE), strict=True):
        chroma[half] = color[:, None, None]
    return luma, chroma


def smoothed(luma: Plane, chroma: Plane, agreement: float) -> Plane:
    """Chroma after smoothing, of predictions that agree so far."""
    saturation = np.hypot(*chroma)[None] / np.float32(agreement)
    return ColorEstimate(np.concatenate([chroma, saturation])).smooth(FlowImage.of(luma)).planes[:2]


@pytest.mark.parametrize("scale", [1, 2])
def test_smoothing_removes_patches_and_keeps_the_colors_at_edges_of_luma(scale: int) -> None:
    luma, chroma = two_things()
    size = scale * WIDTH, scale * HEIGHT
    result = smoothed(cv2.resize(luma, size), chroma + patches(1, 0.04), agreement=0.7)
    left, right = result[..., : WIDTH // 2 - EDGE], result[..., WIDTH // 2 + EDGE :]
    for half, color in ((left, RED), (right, BLUE)):
        assert half.std(axis=(1, 2)).max() < 0.04 / 4, "patches are left"
        assert half.mean(axis=(1, 2)) == pytest.approx(color, abs=0.01)
    beside = right[..., 0].mean(axis=1) - left[..., -1].mean(axis=1)
    assert beside == pytest.approx(BLUE - RED, rel=0.1), "color spread over the edge"


def test_smoothing_leaves_what_predictions_agree_on() -> None:
    luma, chroma = two_things()
    chroma = chroma + patches(1, 0.01)
    assert smoothed(luma, chroma, agreement=1) == pytest.approx(chroma, abs=1e-3)
