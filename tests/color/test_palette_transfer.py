"""A reference gives its colors where it fits, and none where it does not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from colorcli.color.condition import Hints
from colorcli.color.palette_transfer import Reference, read_reference, transfer_palette
from colorcli.color.ycbcr import Plane, luma_of, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.errors import UsageError

SKY, WALL, GRASS = (-0.02, 0.16), (0.12, -0.1), (-0.12, -0.08)
"""Chroma of three materials, unlike their colors in nature, so that only the reference can give it."""


def clueless(luma: Plane) -> Plane:
    """A network that predicts gray everywhere."""
    return np.zeros((2, *luma.shape), np.float32)


def reference_hints(rgb: Plane, luma: Plane, predict: Callable[[Plane], Plane]) -> Hints:
    reference = Reference.of(rgb)
    return transfer_palette(reference, predict(reference.luma), luma, predict)


def landscape(seed: int, horizon: float = 0.5, exposure: float = 1.0) -> tuple[Plane, Plane]:
    """Luma [120, 160] and chroma of smooth bright sky over rough dark grass, with a striped wall."""
    rng = np.random.default_rng(seed)
    height, width = 120, 160
    line = int(horizon * height)
    luma = np.full((height, width), 0.8, np.float32)
    chroma = np.zeros((2, height, width), np.float32)
    chroma[:] = np.reshape(SKY, (2, 1, 1))
    luma[line:] = 0.3 + 0.08 * cv2.GaussianBlur(
        rng.standard_normal((height - line, width), np.float32), (0, 0), 1.0
    )
    chroma[:, line:] = np.reshape(GRASS, (2, 1, 1))
    wall = np.s_[line - 30 : line + 20, 90 + 5 * seed : 140 + 5 * seed]
    luma[wall] = 0.55 + 0.1 * np.sign(np.sin(np.arange(50) * 1.2))[None].repeat(50, axis=0)
    chroma[:, *wall] = np.reshape(WALL, (2, 1, 1))
    return exposure * luma, chroma


def test_each_material_takes_its_own_color() -> None:
    luma, chroma = landscape(1)
    hints = reference_hints(rgb_from_ycbcr(*landscape(2, horizon=0.45)), luma, clueless)
    assert hints.mask.shape == luma.shape
    known = hints.mask > 0
    error = np.abs(hints.chroma - chroma).max(axis=0)[known]
    assert (error < 0.03).mean() > 0.95
    for material in (SKY, GRASS, WALL):
        here = (chroma == np.reshape(material, (2, 1, 1)).astype(np.float32)).all(axis=0)
        assert (known & here).sum() > 0.2 * here.sum() / 16  # of the cells of 4x4 pixels


def test_a_darker_print_finds_its_colors_too() -> None:
    luma, chroma = landscape(1, exposure=0.6)
    hints = reference_hints(rgb_from_ycbcr(*landscape(2)), luma, clueless)
    error = np.abs(hints.chroma - chroma).max(axis=0)[hints.mask > 0]
    assert len(error) > 300
    assert (error < 0.03).mean() > 0.9


def test_parts_unlike_the_reference_get_no_hint() -> None:
    luma = np.kron(np.indices((15, 20)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.float32)
    smooth = np.linspace(0.3, 0.6, 160, dtype=np.float32)[None].repeat(120, axis=0)
    hints = reference_hints(rgb_from_ycbcr(smooth, np.full((2, 120, 160), 0.1, np.float32)), luma, clueless)
    assert hints.mask.sum() < 0.02 * luma.size / 16


def test_cells_whose_neighbors_disagree_get_no_hint() -> None:
    """Parts of the reference that look alike in gray have different colors."""
    luma = np.full((120, 160), 0.5, np.float32)
    chroma = np.zeros((2, 120, 160), np.float32)
    chroma[0] = 0.2 * np.sign(np.random.default_rng(1).standard_normal((120, 160))).astype(np.float32)
    chroma = np.stack([cv2.resize(p[:30, :40], (160, 120), interpolation=cv2.INTER_NEAREST) for p in chroma])
    hints = reference_hints(rgb_from_ycbcr(luma, chroma), luma, clueless)
    assert hints.mask.sum() < 0.1 * luma.size / 16


def test_objects_that_the_network_distinguishes_do_not_mix() -> None:
    """Two objects of one brightness: the reference shows one of them, the picture half of each."""
    luma = np.full((120, 160), 0.5, np.float32)
    reference = rgb_from_ycbcr(luma, np.full((2, 120, 160), 0.1, np.float32))
    calls: list[Plane] = []

    def guess(plane: Plane) -> Plane:
        calls.append(plane)
        chroma = clueless(plane)
        if len(calls) == 2:  # the reference comes first
            chroma[1, :, 80:] = 0.08
        return chroma

    mask = reference_hints(reference, luma, guess).mask
    assert mask[:, :70].sum() > 0.9 * 70 * 120 / 16
    assert not mask[:, 90:].any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (4, 5), (300, 700)])
def test_any_size_works(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)
    hints = reference_hints(rgb_from_ycbcr(*landscape(1)), luma, clueless)
    assert hints.mask.shape == shape
    assert hints.chroma.shape == (2, *shape)


def test_reading_a_reference(tmp_path: Path) -> None:
    rgb = rgb_from_ycbcr(*landscape(1)).clip(0, 1)
    cv2.imwrite(str(tmp_path / "r.png"), np.rint(255 * rgb[::-1].transpose(1, 2, 0)))
    read = read_reference(tmp_path / "r.png")
    assert np.abs(luma_of(read) - luma_of(rgb)).max() < 0.01
    assert np.abs(ycbcr_from_rgb(read)[1] - ycbcr_from_rgb(rgb)[1]).max() < 0.01


def test_unusable_references_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((20, 20), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "dot.png"), np.full((2, 2, 3), (1, 2, 3), np.uint8))
    for name, says in (
        ("missing.jpg", "cannot be read"),
        ("text.jpg", "cannot be read"),
        ("empty.jpg", "cannot be read"),
        ("gray.png", "no colors"),
        ("dot.png", "no colors"),
    ):
        with pytest.raises(UsageError, match=f"{name}.*{says}"):
            read_reference(tmp_path / name)
