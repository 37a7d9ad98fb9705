"""A color chart or stamp beside a black-and-white print keeps its colors; stains and tones do not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.images import load
from support.scenes import Colorize, scene

from colorcli.color.own_parts import own_parts
from colorcli.color.ycbcr import ycbcr_from_rgb

PATCHES = [(200, 30, 40), (30, 140, 60), (40, 60, 180), (230, 200, 20), (190, 60, 150), (0, 140, 170)]
FORMATS = {"png": ("png", {}), "jpeg": ("jpg", {"quality": 92}), "tiff": ("tif", {})}


def print_beside(patches: bool) -> NDArray[np.uint8]:
    """A gray scene of 480x360 on a mount, with a row of patches below it."""
    picture = np.full((480, 560, 3), 245, np.uint8)
    picture[20:380, 40:520] = scene(360, 480)[..., None]
    for number, color in enumerate(PATCHES if patches else []):
        picture[410:460, 60 + 60 * number : 110 + 60 * number] = color
    return picture


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("output", ["png", "jpg"])
def test_a_chart_beside_a_gray_print_keeps_its_colors(
    kind: str, output: str, tmp_path: Path, colorize: Colorize
) -> None:
    suffix, options = FORMATS[kind]
    before = print_beside(patches=True)
    source = tmp_path / f"in.{suffix}"
    Image.fromarray(before).save(source, **options)
    colorize(source, tmp_path / f"out.{output}")
    after = load(tmp_path / f"out.{output}")[..., :3].astype(int)
    for number, color in enumerate(PATCHES):
        patch = after[420:450, 70 + 60 * number : 100 + 60 * number]
        assert np.abs(np.median(patch, axis=(0, 1)) - color).max() <= 8, f"patch {color}"
    assert np.ptp(after[20:380, 40:520], axis=2).mean() > 3, "the print was not colorized"


def sepia(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.clip(picture * np.array([1.08, 0.94, 0.74]) + 6, 0, 255).astype(np.uint8)


def stained(picture: NDArray[np.uint8], color: tuple[float, ...] = (0.94, 0.84, 0.7)) -> NDArray[np.uint8]:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    share = np.clip(1.5 - np.hypot(y - 200, x - 300) / 60, 0, 1)[..., None]
    return (picture * (1 - share * (1 - np.array(color)))).astype(np.uint8)


def foxed(picture: NDArray[np.uint8], color: tuple[float, ...] = (0.9, 0.75, 0.6)) -> NDArray[np.uint8]:
    spots = np.random.default_rng(4).random(picture.shape[:2]).astype(np.float32)
    share = cv2.GaussianBlur((spots > 0.9999).astype(np.float32), (0, 0), 4)[..., None] * 60
    return (picture * (1 - np.clip(share, 0, 1) * (1 - np.array(color)))).astype(np.uint8)


@pytest.mark.parametrize("change", [sepia, stained, foxed])
def test_tones_and_stains_are_colorized_all_over(
    change: Callable[..., NDArray[np.uint8]], tmp_path: Path, colorize: Colorize
) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(change(print_beside(patches=False))).save(source)
    Image.fromarray(np.rint(np.asarray(Image.open(source)) @ [0.299, 0.587, 0.114]).astype(np.uint8)).save(
        tmp_path / "gray.png"
    )
    for name in ("in", "gray"):
        colorize(tmp_path / f"{name}.png", tmp_path / f"{name}_out.png")
    toned, gray = (load(tmp_path / f"{name}_out.png").astype(int) for name in ("in", "gray"))
    assert np.abs(toned - gray).mean() < 2


@pytest.mark.parametrize("change", [stained, foxed])
def test_even_strong_stains_are_no_parts_of_their_own(change: Callable[..., NDArray[np.uint8]]) -> None:
    pixels = change(print_beside(patches=False), (0.85, 0.5, 0.2))
    assert own_parts(*ycbcr_from_rgb(pixels.transpose(2, 0, 1).astype(np.float32) / 255)) is None
