"""Optical flow: a shift is found, and trust is low where there is nothing to be found."""

import cv2
import numpy as np
import pytest

from colorcli.color.ycbcr import Plane
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, Positions, grid, luma_agreement

SIZE = 128
BORDER = 16
"""Pixels at the border of a flow image, whose positions may lie outside."""


def texture(seed: int = 1) -> Plane:
    """Luma [3 * SIZE, 3 * SIZE] with structure at several scales."""
    random = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(random.random((3 * SIZE, 3 * SIZE)), (0, 0), sigma) for sigma in (2, 5, 12)]
    total = sum((layer - layer.mean()) / layer.std() for layer in layers)
    return np.clip(0.5 + 0.12 * total, 0, 1).astype(np.float32)


def window(plane: Plane, down: int = 0, right: int = 0) -> Plane:
    """A part of a texture, as a camera that moves down and right sees it."""
    return plane[SIZE + down : 2 * SIZE + down, SIZE + right : 2 * SIZE + right]


def inner(plane: Plane) -> Plane:
    return plane[BORDER:-BORDER, BORDER:-BORDER]


def between(one: Plane, other: Plane) -> tuple[Positions, Plane]:
    """Positions of `other`'s pixels in `one`, and trust."""
    positions, _, trust, _ = FlowMeter().between(FlowImage.of(one), FlowImage.of(other))
    return positions, trust


@pytest.mark.parametrize(("down", "right"), [(0, 0), (0, 6), (4, -8), (-6, 2)])
def test_flow_of_a_shifted_texture_is_the_shift(down: int, right: int) -> None:
    scene = texture()
    positions, trust = between(window(scene), window(scene, down, right))
    motion = inner(positions - grid(*positions.shape[:2]))
    # The flow has half the size.
    assert np.abs(motion - np.array([right, down]) / 2).mean() < 0.15
    assert inner(trust).mean() > 0.9


def test_occlusion_lowers_trust() -> None:
    scene, object_ = texture(), texture(2)
    before, after = window(scene).copy(), window(scene).copy()
    before[40:88, 30:78] = object_[:48, :48]
    after[40:88, 42:90] = object_[:48, :48]
    first, second = FlowImage.of(before), FlowImage.of(after)
    backward, _, trust, _ = FlowMeter().between(first, second)
    trust = AccumulatedFlow.start(first).extend(backward, trust, first, second).trust
    # What the object uncovered, [40:88, 30:42], was not visible before; all is at half size.
    uncovered, elsewhere = trust[22:42, 16:20], trust[48:60, 8:56]
    assert uncovered.mean() < 0.5
    assert elsewhere.mean() > 0.9


def test_another_scene_is_not_explained() -> None:
    one, other = window(texture(1)), window(texture(3))
    positions, trust = between(one, other)
    agreement = luma_agreement(FlowImage.of(one), FlowImage.of(other), positions)
    assert (agreement * trust).mean() < 0.35


def test_exposure_flicker_is_explained() -> None:
    scene = texture()
    one, other = window(scene), 0.85 * window(scene, 0, 4) + 0.05
    positions, trust = between(one, other)
    agreement = luma_agreement(FlowImage.of(one), FlowImage.of(other), positions)
    assert inner(agreement * trust).mean() > 0.8


def test_accumulated_flow_moves_chroma_along_a_chain_of_shifts() -> None:
    scene = texture()
    first = FlowImage.of(window(scene))
    flow, meter, previous = AccumulatedFlow.start(first), FlowMeter(), first
    for step in range(1, 5):
        image = FlowImage.of(window(scene, 0, 4 * step))
        backward, _, trust, _ = meter.between(previous, image)
        flow, previous = flow.extend(backward, trust, first, image), image
    assert flow.coverage > 0.75
    ramp = np.broadcast_to(np.arange(SIZE, dtype=np.float32), (2, SIZE, SIZE))
    moved = flow.warp(ramp) - ramp
    assert np.abs(moved[:, BORDER:-BORDER, BORDER : -2 * BORDER] - 16).mean() < 0.5


def test_a_new_meter_gives_the_same_flow() -> None:
    scene = texture()
    pair = FlowImage.of(window(scene)), FlowImage.of(window(scene, 2, 3))
    for one, other in zip(FlowMeter().between(*pair), FlowMeter().between(*pair), strict=True):
        assert np.array_equal(one, other)
