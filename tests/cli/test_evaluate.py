"""`colorcli eval`, run as a user does."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.cli import run_text

pytest.importorskip("torch", reason="eval needs the extra `train`")


def colorcli_eval(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return run_text("eval", *arguments, columns=120, **options)


def figures(*arguments: str | Path) -> dict[str, Any]:
    done = colorcli_eval(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def toy_colors(luma: np.ndarray) -> np.ndarray:
    """The toy generator's colors for evenly lit pictures: R'G'B' [H, W, 3] in [0, 1]."""
    blue, red = 1.772 * (0.1 - 0.2 * luma), 1.402 * (0.2 * luma - 0.05)
    green = -(0.299 * red + 0.114 * blue) / 0.587
    return luma[..., None] + np.stack([red, green, blue], axis=-1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three smooth pictures with exactly the colors that the toy generator predicts."""
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        luma = np.linspace(0.2 + 0.1 * index, 0.7, 96)[None].repeat(64 + 8 * index, axis=0)
        rgb = np.rint(255 * np.clip(toy_colors(luma), 0, 1)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), rgb[..., ::-1])
    return folder


def test_the_right_colors_score_as_the_original(pictures: Path, toy_model: Path) -> None:
    found = figures(pictures, "--model", toy_model)
    colorized, gray = found["colorized"], found["grey"]
    assert found["pictures"] == 3
    assert colorized["ciede2000"] < 0.5 < 3 < gray["ciede2000"]
    assert colorized["colorfulness_share"] == pytest.approx(1, abs=0.05)
    assert colorized["psnr"] > gray["psnr"] + 15
    assert found["psnr_over_grey"] == pytest.approx(colorized["psnr"] - gray["psnr"])
    assert found["ciede2000_under_grey"] > 0.8
    assert colorized["accuracy_recovered"] is colorized["frechet_share"] is None


def test_without_saturation_it_is_the_gray_baseline(pictures: Path, toy_model: Path) -> None:
    found = figures(pictures, "--model", toy_model, "--saturation", "0")
    assert found["colorized"] == found["grey"]
    assert found["grey"]["colorfulness"] == 0


def test_wrong_colors_score_below_gray(pictures: Path, toy_model: Path, tmp_path: Path) -> None:
    for file in pictures.iterdir():
        bgr = cv2.imread(str(file)).astype(np.float32)
        gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)[..., None]
        cv2.imwrite(str(tmp_path / file.name), 2 * gray - bgr)  # the complementary colors
    found = figures(tmp_path, "--model", toy_model)
    assert found["ciede2000_under_grey"] < 0
    assert found["psnr_over_grey"] < 0


def test_the_table_names_both_ways_of_averaging(pictures: Path, toy_model: Path) -> None:
    done = colorcli_eval(pictures, "--model", toy_model)
    assert done.returncode == 0
    for row in (
        "mean of the images'",
        "of the mean squared error",
        "SSIM",
        "CIEDE2000",
        "share of originals'",
    ):
        assert row in done.stdout


def test_unreadable_pictures_are_named_and_left_out(pictures: Path, toy_model: Path, tmp_path: Path) -> None:
    good = next(pictures.iterdir())
    (tmp_path / "good.png").write_bytes(good.read_bytes())
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:40])
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((3, 3, 3), np.uint8))
    # In a process of its own, because OpenCV is silenced when a process starts.
    done = colorcli_eval(tmp_path, "--model", toy_model, "--json", env=os.environ)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["pictures"] == 1
    assert {Path(name).name for name in found["skipped"]} == {"cut.png", "tiny.png"}
    assert done.stderr.count("left out") == 2


def test_pictures_without_color_are_counted(toy_model: Path, tmp_path: Path) -> None:
    color = np.zeros((64, 64, 3), np.uint8)
    color[:32, :, 0] = color[32:, :, 2] = np.arange(64, 192, 2)
    cv2.imwrite(str(tmp_path / "color.png"), color)
    cv2.imwrite(str(tmp_path / "gray.png"), cv2.cvtColor(color, cv2.COLOR_BGR2GRAY))
    done = colorcli_eval(tmp_path, "--model", toy_model, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["colorless"] == 1
    assert "1 of 2 images have no color" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing"], 1, "no such folder"),
        (["."], 1, "no pictures in it"),
        ([".", "--model", "missing.onnx"], 3, "no such model file"),
        ([".", "--recognition-model", "missing.safetensors"], 3, "not MobileNetV2 weights"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if len(arguments) > 1:
        cv2.imwrite("picture.png", np.zeros((32, 32, 3), np.uint8))
    done = colorcli_eval(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_torch_the_extra_is_named(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    done = colorcli_eval(pictures, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 3
    assert "[train]" in done.stderr
    assert len(done.stderr.splitlines()) == 1
