"""Figures of whole sets of pictures, with a recognition model simple enough to predict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="eval needs the extra `train`")

from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.evaluation import coco
from colorcli.evaluation import evaluate as evaluation
from colorcli.evaluation.evaluate import evaluate_predictor, evaluation_files
from colorcli.evaluation.pictures import Picture
from colorcli.evaluation.recognition import Predictions
from colorcli.models import open_model


class WarmOrCold:
    """Recognizes whether a picture is warm or cold; its features are a thumbnail."""

    def predict(self, pictures: list[Picture]) -> Predictions:
        small = np.stack([cv2.resize(p, (4, 4), interpolation=cv2.INTER_AREA) for p in pictures]).astype(
            np.float32
        )
        warmth = small[..., 0].mean(axis=(1, 2)) - small[..., 2].mean(axis=(1, 2))
        return Predictions(
            small.reshape(len(pictures), -1), np.where(warmth > 2, 1, np.where(warmth < -2, 2, 0))
        )


@pytest.fixture
def predictor(toy_model: Path) -> Iterator[ChromaPredictor]:
    with open_model(toy_model, "cpu") as model:
        yield ChromaPredictor(model)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Ten flat pictures of warm and cold grounds, none of the toy generator's own colors."""
    rng = np.random.default_rng(1)
    for index in range(10):
        tint = 25 if index % 2 else -25
        rgb = np.clip(
            rng.integers(60, 180) + np.array([tint, 0, -tint]) + rng.normal(0, 8, (64, 80, 3)), 0, 255
        )
        cv2.imwrite(str(tmp_path / f"{index}.png"), rgb[..., ::-1])
    return sorted(tmp_path.iterdir())


def evaluated(predictor: Any, files: list[Path]) -> evaluation.Evaluation:
    return evaluate_predictor(predictor, files, WarmOrCold())  # type: ignore[arg-type]


def test_gray_recovers_nothing_and_has_all_of_the_distance(
    predictor: ChromaPredictor, files: list[Path]
) -> None:
    result = evaluated(predictor, files)
    assert result.gray.accuracy_recovered == 0
    assert result.gray.frechet_share == pytest.approx(1)
    assert result.gray.colorfulness_share == 0


def test_the_original_colors_recover_everything(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Truth:
        size = 64

    versions = evaluation.Versions
    monkeypatch.setattr(evaluation, "_versions", lambda _, real: versions(real, _gray(real), real.copy()))
    result = evaluated(Truth(), files)
    assert result.colorized.accuracy_recovered == 1
    assert result.colorized.frechet_share == pytest.approx(0, abs=1e-6)
    assert result.colorized.colorfulness_share == pytest.approx(1)
    assert result.colorized.scores.ciede2000 == 0


def _gray(rgb: Picture) -> Picture:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def test_one_picture_has_no_frechet_distance(predictor: ChromaPredictor, files: list[Path]) -> None:
    result = evaluated(predictor, files[:1])
    assert result.colorized.frechet_share is None
    assert result.colorized.accuracy_recovered is not None


def test_progress_counts_every_file(predictor: ChromaPredictor, files: list[Path]) -> None:
    done: list[int] = []
    evaluate_predictor(predictor, files * 4, progress=done.append)
    assert done == [16, 32, 40]


def test_coco_sample_means_its_test_part(monkeypatch: pytest.MonkeyPatch, files: list[Path]) -> None:
    sample = [Path(f"{index}.jpg") for index in range(10_000)]
    monkeypatch.setattr(coco, "coco_sample", lambda: sample)
    assert evaluation_files(["coco-sample", str(files[0].parent)]) == [*sample[8_000:], *files]
