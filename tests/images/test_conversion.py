"""From one format to another: what the other can hold is kept, and what it cannot is named and refused."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.images import gray, load, save
from support.scenes import Colorize, scene

from colorcli.errors import RefusedError
from colorcli.images.metadata import icc
from colorcli.options import RunOptions

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

TAGS = {
    "Orientation#": "6", "ImageDescription": "Glass plate 12", "Artist": "Archive",
    "DateTimeOriginal": "1923:05:01 10:11:12",
    "XMP-dc:Title": "A street",
}  # fmt: skip
IPTC = {"IPTC:Keywords": "street", "IPTC:By-line": "Unknown"}
KEEPS = {  # of IPTC
    ".jpg": True, ".png": True, ".tif": True, ".jp2": True, ".webp": False, ".avif": False,
}  # fmt: skip


def write(path: Path, tags: dict[str, str]) -> None:
    arguments = [f"-{name}={value}" for name, value in tags.items()]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *arguments, str(path)], check=True)


def read(path: Path, tags: dict[str, str]) -> dict[str, str]:
    command = ["exiftool", "-s3", "-f", *(f"-{name}" for name in tags), str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(zip(tags, found, strict=True))


@pytest.mark.parametrize("target", KEEPS)
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png", ".webp", ".jp2"])
def test_metadata_goes_along(suffix: str, target: str, tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / f"in{suffix}", scene(60, 80))
    tags = TAGS | (IPTC if KEEPS[suffix] and KEEPS[target] else {})
    write(source, tags)
    if target == ".avif":  # it has a box of its own for that
        del tags["Orientation#"]
    colorize(source, tmp_path / "out" / f"x{target}")
    assert read(tmp_path / "out" / f"x{target}", tags) == tags


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
@pytest.mark.parametrize("target", [".webp", ".avif"])
def test_iptc_is_refused_where_it_has_no_place(
    suffix: str, target: str, tmp_path: Path, colorize: Colorize
) -> None:
    source = save(tmp_path / f"in{suffix}", scene(60, 80))
    write(source, IPTC)
    with pytest.raises(RefusedError, match=r"cannot hold IPTC; .*--lossy"):
        colorize(source, tmp_path / f"out{target}")
    assert not (tmp_path / f"out{target}").exists()


@pytest.mark.parametrize(("depth", "alpha", "target", "lost"), [
    (8, True, ".jpg", "alpha"), (8, True, ".ppm", "alpha"), (16, False, ".jpg", "16 bits"),
    (16, False, ".avif", "16 bits"), (16, True, ".jpg", "alpha, 16 bits"), (16, False, ".bmp", "16 bits"),
])  # fmt: skip
def test_pixels_are_not_reduced_unasked(
    depth: int, alpha: bool, target: str, lost: str, tmp_path: Path, colorize: Colorize
) -> None:
    base = scene(60, 80, (1 << depth) - 1)
    source = save(tmp_path / "in.png", np.stack([base, base, base, base[::-1]], axis=2) if alpha else base)
    with pytest.raises(RefusedError, match=f"cannot hold {lost}; "):
        colorize(source, tmp_path / f"out{target}")
    notes: list[str] = []
    colorize(source, tmp_path / f"out{target}", options=RunOptions(lossy=True), on_note=notes.append)
    after = load(tmp_path / f"out{target}").astype(float)
    assert np.abs(gray(after) - base / (257 if depth == 16 and after.max() < 256 else 1)).max() <= 2
    assert len(notes) == 1
    assert lost in notes[0]


def test_an_opaque_alpha_channel_is_no_loss(tmp_path: Path, colorize: Colorize) -> None:
    base = scene(60, 80)
    source = save(tmp_path / "in.png", np.stack([base] * 3 + [np.full_like(base, 255)], axis=2))
    assert colorize(source, tmp_path / "out.jpg").action == "colorized"


@pytest.mark.parametrize("target", [".jpg", ".png", ".tif", ".jp2", ".webp"])
def test_a_gray_profile_becomes_its_rgb_counterpart(target: str, tmp_path: Path, colorize: Colorize) -> None:
    import imagecodecs
    from PIL import Image

    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
    Image.fromarray(scene(60, 80)).save(tmp_path / "in.jpg", icc_profile=profile)
    colorize(tmp_path / "in.jpg", tmp_path / f"out{target}")
    command = ["exiftool", "-b", "-ICC_Profile", str(tmp_path / f"out{target}")]
    found = subprocess.run(command, capture_output=True, check=True).stdout
    assert icc.color_space(found) == "RGB"


@pytest.mark.parametrize("target", [".bmp", ".ppm"])
def test_what_has_no_place_for_the_orientation_is_refused(
    target: str, tmp_path: Path, colorize: Colorize
) -> None:
    source = save(tmp_path / "in.jpg", scene(60, 80))
    write(source, {"Orientation#": "6"})
    with pytest.raises(RefusedError, match="cannot hold Exif, the orientation"):
        colorize(source, tmp_path / f"out{target}")
