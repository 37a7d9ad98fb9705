"""The simple reader: any picture as it is displayed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.images import save
from support.scenes import color_scene, scene

from colorcli.color.pictures import read_layer, read_picture
from colorcli.errors import InputError


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp", ".jp2", ".ppm", ".heic"])
def test_every_lossless_format_gives_its_pixels(suffix: str, tmp_path: Path) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif")
    path = save(tmp_path / f"in{suffix}", color_scene())
    assert (read_picture(path) == color_scene()).all()


def test_gray_of_16_bits_becomes_rgb_of_8(tmp_path: Path) -> None:
    path = save(tmp_path / "in.png", scene(peak=65535))
    picture = read_picture(path)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - scene(peak=65535)[:, :, None] / 257).max() <= 1


def test_pictures_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(color_scene(60, 90)).save(tmp_path / "in.jpg", exif=exif, quality=95)
    upright = np.rot90(color_scene(60, 90), -1).astype(int)
    assert np.abs(read_picture(tmp_path / "in.jpg") - upright).mean() < 20


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("long_side", [50, 200, 5000])
def test_the_long_side_is_limited(suffix: str, long_side: int, tmp_path: Path) -> None:
    Image.fromarray(color_scene(400, 800)).save(tmp_path / f"in{suffix}")
    picture = read_picture(tmp_path / f"in{suffix}", long_side=long_side)
    assert picture.shape == (min(long_side, 800) // 2, min(long_side, 800), 3)


def test_layers_keep_their_transparency(tmp_path: Path) -> None:
    pixels = np.dstack([color_scene(), scene()])
    assert (read_layer(save(tmp_path / "in.png", pixels)) == pixels).all()
    assert (read_layer(save(tmp_path / "opaque.png", color_scene()))[:, :, 3] == 255).all()


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut off"])
def test_what_is_not_a_picture_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "in.jpg").write_bytes(content)
    for read in (read_picture, read_layer):
        with pytest.raises(InputError, match="cannot be read as a picture"):
            read(tmp_path / "in.jpg")
    with pytest.raises(InputError, match="cannot be read"):
        read_picture(tmp_path / "nowhere.png")
