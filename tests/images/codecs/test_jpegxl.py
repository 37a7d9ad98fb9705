"""JPEG XL: what its header says, its boxes, and what cjxl makes."""

import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from support.cli import run_cli
from support.images import gray, load, save
from support.scenes import Colorize, scene

from colorcli.images.codecs.jpegxl import JPEGXL, NO_PROFILE
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE

needs_libjxl = pytest.mark.skipif(shutil.which("cjxl") is None, reason="libjxl-tools is not installed")


@pytest.mark.parametrize("shape", [(64, 64), (256, 8), (90, 160), (97, 131), (3, 5000), (768, 1024)])
def test_the_header_gives_the_size(shape: tuple[int, int], tmp_path: Path) -> None:
    for container in (False, True):
        data = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), usecontainer=container, effort=1)
        (tmp_path / "in.jxl").write_bytes(data)
        assert JPEGXL.probe(tmp_path / "in.jxl") == shape


def test_the_model_is_named(tmp_path: Path, toy_model: Path) -> None:
    source = save(tmp_path / "in.jxl", scene())
    run = run_cli("run", source, "-o", tmp_path / "out.jxl", "--model", toy_model)
    assert run.returncode == 0, run.stderr
    assert DIGITAL_SOURCE_TYPE.encode() in (tmp_path / "out.jxl").read_bytes()


@needs_libjxl
def test_turned_pictures_come_out_upright_once(tmp_path: Path, colorize: Colorize) -> None:
    """The codestream says how a picture is turned; its Exif, which says the same, is not obeyed again."""
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Leica"
    Image.fromarray(scene()).save(tmp_path / "in.jpg", exif=exif, quality=95)
    subprocess.run(["cjxl", "--quiet", tmp_path / "in.jpg", tmp_path / "in.jxl"], check=True)
    colorize(tmp_path / "in.jxl", tmp_path / "out.jxl")
    colorize(tmp_path / "in.jxl", tmp_path / "out.tif")
    for name in ("in", "out"):
        command = ["djxl", "--quiet", tmp_path / f"{name}.jxl", tmp_path / f"{name}.png"]
        subprocess.run(command, check=True, capture_output=True)
    before = np.asarray(Image.open(tmp_path / "in.png").convert("L"), int)
    assert np.abs(gray(np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))) - before).max() <= 1
    with Image.open(tmp_path / "out.tif") as tiff:
        assert tiff.getexif().get(274, 1) == 1
        assert tiff.getexif().get(271) == "Leica"
        assert np.abs(gray(np.asarray(tiff)) - before).max() <= 1


@needs_libjxl
def test_a_color_profile_is_named(tmp_path: Path, colorize: Colorize) -> None:
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
    for name, options in (("with", {"icc_profile": profile}), ("without", {})):
        Image.fromarray(scene()).save(tmp_path / f"{name}.png", **options)
        command = ["cjxl", "--quiet", "-d", "0", tmp_path / f"{name}.png", tmp_path / f"{name}.jxl"]
        subprocess.run(command, check=True)
        notes: list[str] = []
        colorize(tmp_path / f"{name}.jxl", tmp_path / f"{name}-out.jxl", on_note=notes.append)
        assert notes == ([NO_PROFILE] if name == "with" else [])
        assert np.abs(gray(load(tmp_path / f"{name}-out.jxl")) - scene()).max() <= 1
