"""`run --hints` and `--reference`, through the real command line."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.cli import run_text

from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.models import open_model
from colorcli.options import ColorOptions

SHAPE = (192, 256)


def colorcli_run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_text("run", *arguments)


def two_regions() -> np.ndarray:
    """Gray [192, 256]: dark left, bright right."""
    gray = np.full(SHAPE, 80, np.uint8)
    gray[:, 128:] = 170
    return gray


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "gray.png"), two_regions())
    return tmp_path / "gray.png"


@pytest.fixture
def predictor(toy_model: Path) -> Iterator[ChromaPredictor]:
    with open_model(toy_model, "cpu") as model:
        yield ChromaPredictor(model)


def chroma(path: Path) -> np.ndarray:
    """Cb and Cr in code values around 0, [2, H, W]."""
    planes = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2YCrCb).astype(float) - 128
    return np.stack([planes[..., 2], planes[..., 1]])


def test_a_point_colors_its_region_only(picture: Path, toy_model: Path, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("x,y,color\n60,100,120,60,80\n")
    for name, flags in (("plain.png", []), ("hinted.png", ["--hints", tmp_path / "h.csv"])):
        done = colorcli_run(picture, "-o", tmp_path / name, "--model", toy_model, *flags)
        assert done.returncode == 0, done.stderr
    plain, hinted = chroma(tmp_path / "plain.png"), chroma(tmp_path / "hinted.png")
    (row, column), asked = (100, 60), np.array([0.564 * (80 - 80.1), 0.713 * (120 - 80.1)])  # BT.601
    assert np.abs(hinted[:, row, column] - asked).max() < 4
    change = np.abs(hinted - plain).max(axis=0)
    assert change[:, 140:].max() <= 2
    assert np.median(change[:, :110]) > 8
    gray = cv2.cvtColor(cv2.imread(str(tmp_path / "hinted.png")), cv2.COLOR_BGR2GRAY)
    assert np.abs(gray.astype(int) - two_regions()).max() <= 1


def test_a_reference_gives_its_colors(picture: Path, toy_model: Path, tmp_path: Path) -> None:
    reference = np.repeat(two_regions()[..., None], 3, axis=2).astype(int)
    reference[:, :128] += (-20, 0, 60)
    cv2.imwrite(str(tmp_path / "reference.png"), reference)
    out = tmp_path / "out.png"
    done = colorcli_run(picture, "-o", out, "--model", toy_model, "--reference", tmp_path / "reference.png")
    assert done.returncode == 0, done.stderr
    left = np.median(np.abs(chroma(out) - chroma(tmp_path / "reference.png")).max(axis=0)[:, :120])
    assert left < 4


def test_the_reference_gives_no_hints_where_a_users_hint_reaches(
    predictor: ChromaPredictor, tmp_path: Path
) -> None:
    luma = two_regions().astype(np.float32) / 255
    reference = np.repeat(two_regions()[..., None], 3, axis=2) + np.array((-20, 0, 40))
    cv2.imwrite(str(tmp_path / "r.png"), reference)
    (tmp_path / "h.csv").write_text("60,100,0,0,255\n")
    color = ColorOptions(hints=tmp_path / "h.csv", reference=tmp_path / "r.png")
    hints = ColorSources.load(color).hints_for(SHAPE, luma, predictor)
    alone = ColorSources.load(replace(color, hints=None)).hints_for(SHAPE, luma, predictor)
    assert hints is not None and alone is not None
    near, across = np.s_[90:110, 50:70], np.s_[:, 140:]
    assert hints.mask[near].sum() == 25
    assert np.array_equal(hints.mask[across], alone.mask[across])
    assert hints.mask[across].any()
    assert hints.chroma[0, 100, 60] == pytest.approx(0.5)


def test_without_sources_there_are_no_hints(predictor: ChromaPredictor) -> None:
    luma = two_regions().astype(np.float32) / 255
    assert ColorSources.load(ColorOptions()).hints_for(SHAPE, luma, predictor) is None


@pytest.mark.parametrize("flag", ["--hints", "--reference"])
def test_an_unusable_file_is_refused_before_any_work(flag: str, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "useless.png").write_text("no picture")
    done = colorcli_run(picture, "-o", tmp_path / "out.png", flag, tmp_path / "useless.png")
    assert done.returncode == 2
    assert "useless.png" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()


def test_a_point_outside_fails_its_picture(picture: Path, toy_model: Path, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("256,100,red\n")
    flags = ["--model", toy_model, "--hints", tmp_path / "h.csv", "--quiet"]
    done = colorcli_run(picture, "-o", tmp_path / "out.png", *flags)
    assert done.returncode == 1
    assert "lies outside its 256x192 pixels" in done.stderr
    assert not (tmp_path / "out.png").exists()
