"""Numbered pictures in and out."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.videos import GLASS, colorcli, gray, make, plane_of, run, times


@pytest.mark.parametrize(("suffix", "pix_fmt"), [("png", "rgb24"), ("dpx", "gbrp10le"), ("png", "gray16be")])
def test_numbered_pictures(tmp_path: Path, toy_model: Path, suffix: str, pix_fmt: str) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / f"f_%04d.{suffix}", *gray(0.2), "-pix_fmt", pix_fmt)
    (tmp_path / "in" / f"f_0003.{suffix}").unlink()
    target = tmp_path / "out" / f"f_%04d.{'tif' if suffix == 'png' else suffix}"
    done = colorcli("run", tmp_path / "in" / f"f_%04d.{suffix}", "-o", target, "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"pictures 3 to 3 are missing" in done.stderr
    assert sorted(path.stem for path in target.parent.iterdir()) == ["f_0001", "f_0002", "f_0004", "f_0005"]
    before, after = (_gray(tmp_path / "in" / f"f_0004.{suffix}"), _gray(target.with_stem("f_0004")))
    assert np.abs(before - after).max() <= 1


def _gray(path: Path) -> np.ndarray:
    """Gray of a picture in its own code values."""
    with av.open(path, format="image2", options={"pattern_type": "none"}) as file:
        frame = next(file.decode(video=0))
    bits = frame.format.components[0].bits
    if frame.format.name.startswith("gray"):
        return plane_of(frame.reformat(format=f"gray{bits}le" if bits > 8 else "gray"), 0).astype(float)
    planar = frame.reformat(format=f"gbrp{bits}le" if bits > 8 else "gbrp")
    green, blue, red = (plane_of(planar, index).astype(float) for index in range(3))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_pictures_keep_their_transparency(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / "f_%02d.png", *GLASS, "-pix_fmt", "rgba")
    run(toy_model, tmp_path / "in" / "f_%02d.png", tmp_path / "out" / "f_%02d.tif")
    before, after = (cv2.imread(str(tmp_path / name), -1) for name in ("in/f_03.png", "out/f_03.tif"))
    assert np.array_equal(before[..., 3], after[..., 3])


def test_the_rate_of_numbered_pictures_can_be_stated(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "in").mkdir()
    pattern = tmp_path / "in" / "f_%02d.png"
    make(pattern, *gray(0.2, "64x48"))
    run(toy_model, pattern, tmp_path / "out.mkv", "--fps", "16.5")
    assert times(tmp_path / "out.mkv") == pytest.approx([n / 16.5 for n in range(5)], abs=1e-3)
    for source, rate in ((pattern, "fast"), (tmp_path / "out.mkv", "18")):
        done = colorcli("run", source, "-o", tmp_path / "no.mkv", "--model", toy_model, "--fps", rate)
        assert done.returncode == 2
        assert f"--fps {rate}".encode() in done.stderr
