"""Photoshop files: the flattened image, with its metadata, becomes a TIFF."""

import struct
from contextlib import suppress
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from support.cli import events, run_cli
from support.images import gray
from support.scenes import Colorize, scene

from colorcli.errors import InputError, RefusedError
from colorcli.images.codecs.psd import CMYK, FLAT, GRAYSCALE, RGB
from colorcli.images.metadata import icc

LAYERS = b"\0\0\0\2\xff\xff"  # one layer, and the first extra channel is transparency


def section(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HH", number, 0) + section(data) + b"\0" * (len(data) % 2)


def written(
    path: Path,
    pixels: np.ndarray,
    mode: int,
    *,
    packed: bool = True,
    resources: bytes = b"",
    layers: bytes = b"",
) -> Path:
    """A file as the specification has it: header, palette, resources, layers, flattened image."""
    height, width, count = pixels.shape
    rows = [
        row.astype(f">u{pixels.itemsize}").tobytes() for row in pixels.transpose(2, 0, 1).reshape(-1, width)
    ]
    if packed:
        rows = [imagecodecs.packbits_encode(row) for row in rows]
    counts = b"".join(struct.pack(">H", len(row)) for row in rows) if packed else b""
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, count, height, width, 8 * pixels.itemsize, mode)
    image = struct.pack(">H", packed) + counts + b"".join(rows)
    path.write_bytes(header + section(b"") + section(resources) + section(layers) + image)
    return path


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mode", [GRAYSCALE, RGB])
def test_gray_and_depth_are_kept(
    depth: int, packed: bool, mode: int, tmp_path: Path, colorize: Colorize
) -> None:
    base = scene(peak=(1 << depth) - 1)
    source = written(
        tmp_path / "in.psd", np.stack([base] * (3 if mode == RGB else 1), axis=2), mode, packed=packed
    )
    assert colorize(source, tmp_path / "out.tif", saturation=2.0).action == "colorized"
    after = tifffile.imread(tmp_path / "out.tif")
    assert after.dtype == base.dtype
    assert np.abs(gray(after) - base).max() <= 1
    assert np.ptp(after.astype(int), axis=2).max() > 8 << (depth - 8)


def test_an_independent_reader_sees_the_same(tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.psd", scene()[:, :, None], GRAYSCALE)
    colorize(source, tmp_path / "out.tif")
    with Image.open(source) as before, Image.open(tmp_path / "out.tif") as after:
        assert np.abs(gray(np.asarray(after)) - np.asarray(before)).max() <= 1


def test_transparency_is_kept_and_selections_are_named(tmp_path: Path, colorize: Colorize) -> None:
    base = scene()
    four = np.stack([base, base, base, base[::-1], base], axis=2)
    for layers, channels in ((LAYERS, 4), (b"", 3)):
        notes: list[str] = []
        source = written(tmp_path / "in.psd", four, RGB, layers=layers)
        colorize(source, tmp_path / "out.tif", on_note=notes.append)
        after = tifffile.imread(tmp_path / "out.tif")
        assert after.shape[2] == channels
        assert (after[:, :, 3:] == four[:, :, 3:channels]).all()
        assert notes == [FLAT]


def test_metadata_goes_along(tmp_path: Path, colorize: Colorize) -> None:
    exif = Image.Exif()
    exif[270] = "Glass plate 12"
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
    resolution = struct.pack(">IHHIHH", 300 << 16, 1, 1, 300 << 16, 1, 1)
    parts = {1005: resolution, 1039: profile, 1058: exif.tobytes()[6:]}
    resources = b"".join(resource(number, data) for number, data in parts.items())
    source = written(tmp_path / "in.psd", scene()[:, :, None], GRAYSCALE, resources=resources)
    colorize(source, tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as after:
        assert after.info["dpi"] == (300, 300)
        assert after.getexif()[270] == "Glass plate 12"
        assert icc.color_space(after.info["icc_profile"]) == "RGB"


def test_cmyk_becomes_rgb(tmp_path: Path, colorize: Colorize) -> None:
    inks = np.full((90, 131, 4), 255, np.uint8)
    inks[:, :, 3] = scene()  # inverted: 255 is no ink
    assert colorize(written(tmp_path / "in.psd", inks, CMYK), tmp_path / "out.tif").action == "colorized"
    assert np.abs(gray(tifffile.imread(tmp_path / "out.tif")) - scene()).max() <= 1


BROKEN = {
    "no flattened image": ({"resources": resource(1057, b"\0\0\0\1\0")}, slice(None), "no flattened image"),
    "truncated": ({}, slice(-9), "damaged Photoshop"),
    "truncated header": ({}, slice(20), "damaged"),
}


@pytest.mark.parametrize(("options", "part", "cause"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_named(
    options: dict[str, bytes], part: slice, cause: str, tmp_path: Path, colorize: Colorize
) -> None:
    source = written(tmp_path / "in.psd", scene()[:, :, None], GRAYSCALE, **options)
    source.write_bytes(source.read_bytes()[part])
    with pytest.raises(InputError, match=rf"in\.psd: .*{cause}"):
        colorize(source, tmp_path / "out.tif")


def test_damaged_headers_and_lengths_are_named(tmp_path: Path, colorize: Colorize) -> None:
    """No checksum protects them: each is refused in words, or read as if it were right."""
    source = written(tmp_path / "in.psd", scene(9, 13)[:, :, None], GRAYSCALE)
    sound = source.read_bytes()
    for position in (*range(4, 26), *range(36, 44)):
        for value in (0, 1, 255):
            source.write_bytes(sound[:position] + bytes([value]) + sound[position + 1 :])
            with suppress(InputError, RefusedError):
                colorize(source, tmp_path / f"{position}-{value}.tif")


def test_a_folder_gets_tiffs(tmp_path: Path, toy_model: Path) -> None:
    written(tmp_path / "in.psd", scene()[:, :, None], GRAYSCALE)
    run = run_cli("run", tmp_path / "in.psd", "-o", tmp_path / "out", "--model", toy_model, "--json")
    assert run.returncode == 0, run.stderr
    assert events(run.stdout)[-2]["output"] == str(tmp_path / "out" / "in.tif")
    refused = run_cli("run", tmp_path / "in.psd", "-o", tmp_path / "out.psd", "--model", toy_model)
    assert b"use tif instead" in b" ".join(refused.stderr.split())
