"""Which frames somebody has painted over since they were written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from colorcli.video.reference_pictures import MARK, is_unchanged, write_reference


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "000012.png"
    write_reference(path, np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    return path


def load(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def resave(path: Path, picture: Image.Image, *, keep_text: bool) -> None:
    text = PngImagePlugin.PngInfo()
    if keep_text:
        with Image.open(path) as before:
            text.add_text(MARK, before.info[MARK])
    picture.save(path, pnginfo=text)


def test_a_written_frame_is_unchanged_also_after_it_was_saved_again(written: Path) -> None:
    assert is_unchanged(written)
    resave(written, load(written), keep_text=True)
    assert is_unchanged(written)


@pytest.mark.parametrize("keep_text", [True, False])
def test_a_frame_with_one_other_pixel_is_changed(written: Path, keep_text: bool) -> None:
    picture = load(written)
    red, green, blue = picture.getpixel((3, 5))
    picture.putpixel((3, 5), (red ^ 1, green, blue))
    resave(written, picture, keep_text=keep_text)
    assert not is_unchanged(written)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_other_files_count_as_changed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "000012.png"
    path.write_bytes(content)
    assert not is_unchanged(path)
    assert not is_unchanged(tmp_path / "none.png")
