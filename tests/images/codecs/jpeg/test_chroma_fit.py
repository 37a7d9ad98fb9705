"""JPEG output keeps the colors that PNG output has, in little room."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.images import load
from support.scenes import Colorize, scene

from colorcli.images.codecs.jpeg.plane import decoded_gray, encode_plane, round_trip

KR, KG, KB = 0.299, 0.587, 0.114
JPEGS = {
    "gray": ("L", {}),
    "gray progressive": ("L", {"progressive": True}),
    "finest": ("L", {"quality": 100}),
    "4:2:0": ("RGB", {"subsampling": 2}),
}


def chroma_of_squares(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """Mean magnitude of chroma [rows, columns] in each 8x8 square of RGB [H, W, 3], in code values."""
    height, width = (length // 8 * 8 for length in rgb.shape[:2])
    red, green, blue = rgb[:height, :width].astype(float).transpose(2, 0, 1)
    luma = KR * red + KG * green + KB * blue
    magnitude = np.hypot((blue - luma) / (2 - 2 * KB), (red - luma) / (2 - 2 * KR))
    return magnitude.reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("saturation", [1.0, 1.5])
def test_no_square_of_a_jpeg_loses_its_color(
    kind: str, saturation: float, tmp_path: Path, colorize: Colorize
) -> None:
    """Beside black and white, too: a tenth at most of what PNG shows, and of faint ones half a code value."""
    mode, options = JPEGS[kind]
    source = tmp_path / "in.jpg"
    Image.fromarray(scene(266, 342)).convert(mode).save(source, "JPEG", **options)
    for name in ("out.jpg", "out.png"):
        colorize(source, tmp_path / name, saturation=saturation)
    wanted, shown = (chroma_of_squares(load(tmp_path / name)) for name in ("out.png", "out.jpg"))
    assert (wanted > 3).sum() > 500, "hardly any color: this tests nothing"
    lost = (wanted > 3) & (shown < np.minimum(0.9 * wanted, wanted - 0.5))
    assert not lost.any(), f"{lost.sum()} squares, down to {min(shown[lost] / wanted[lost], default=1):.2f}"


def test_shared_chroma_keeps_faint_and_dark_colors(
    tmp_path: Path, colorize: Colorize, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding takes hardly any of a faint color, and grain that reaches black not all of a dark one."""
    monkeypatch.setattr("colorcli.images.codecs.jpeg.codec.FULL_CHROMA_PIXELS", 1000)
    rng = np.random.default_rng(5)
    tones = cv2.resize(rng.integers(10, 240, (6, 8)).astype(np.float32), (384, 288))
    tones[:96] = 18
    grain = cv2.GaussianBlur(rng.normal(0, 10, tones.shape).astype(np.float32), (0, 0), 1)
    source = tmp_path / "in.jpg"
    Image.fromarray(np.rint(np.clip(tones + grain, 0, 255)).astype(np.uint8)).save(source, "JPEG", quality=95)
    for name in ("out.jpg", "out.png"):
        colorize(source, tmp_path / name, saturation=1.0)
    wanted, shown = (chroma_of_squares(load(tmp_path / name)) for name in ("out.png", "out.jpg"))
    lost = (wanted > 3) & (shown < np.minimum(0.9 * wanted, wanted - 0.5))
    assert not lost.any()
    apart = np.abs(np.rint(load(tmp_path / "out.jpg") @ (KR, KG, KB)) - load(source))
    assert apart.max() <= 2
    assert (apart > 1).mean() < 1e-4


def test_chroma_takes_a_third_of_the_room_of_luma(tmp_path: Path, colorize: Colorize) -> None:
    """Smooth tones with grain, as scans have them, and colors as strong as the network's."""
    rng = np.random.default_rng(5)
    tones = rng.integers(20, 235, (8, 10)).astype(np.float32)
    grain = cv2.GaussianBlur(rng.normal(0, 12, (600, 800)).astype(np.float32), (0, 0), 1)
    pixels = cv2.resize(tones, (800, 600), interpolation=cv2.INTER_CUBIC) + grain
    source = tmp_path / "in.jpg"
    Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)).save(source, "JPEG", quality=90)
    colorize(source, tmp_path / "out.jpg", saturation=0.25)
    assert (tmp_path / "out.jpg").stat().st_size < 1.35 * source.stat().st_size


def test_a_block_decodes_alike_at_any_position() -> None:
    """Fitting blocks apart from their picture relies on this."""
    plane = np.random.default_rng(9).integers(0, 256, (64, 96), np.uint8)
    steps = [1 + position % 7 for position in range(64)]
    whole = decoded_gray(encode_plane(plane, steps, progressive=True))
    blocks, expected = (
        part.reshape(8, 8, 12, 8).swapaxes(1, 2).reshape(-1, 8, 8)[5:50:3] for part in (plane, whole)
    )
    assert (round_trip(blocks, steps) == expected).all()
