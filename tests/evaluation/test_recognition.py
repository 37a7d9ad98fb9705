"""The recognition model loads its weights correctly, and its figures are 0 and 1 where they must be."""

import os
from pathlib import Path

import numpy as np
import pytest

from colorcli.errors import SetupError
from colorcli.evaluation.pictures import Picture, read_picture
from colorcli.evaluation.recognition import (
    SIDE,
    Predictions,
    RecognitionModel,
    accuracy_recovered,
    frechet_distance,
)

DATA = Path(os.environ.get("COLORCLI_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def predictions(*labels: int) -> Predictions:
    return Predictions(np.zeros((len(labels), 4), np.float32), np.array(labels))


def test_accuracy_recovered_is_zero_for_gray_and_one_for_the_original() -> None:
    real, gray, generated = predictions(1, 2, 3, 4), predictions(1, 9, 9, 9), predictions(1, 2, 9, 9)
    assert accuracy_recovered(real, gray, gray) == 0
    assert accuracy_recovered(real, gray, real) == 1
    assert accuracy_recovered(real, gray, generated) == pytest.approx(1 / 3)
    assert accuracy_recovered(real, gray, predictions(9, 9, 9, 9)) == pytest.approx(-1 / 3)


def test_nothing_is_recovered_where_gray_loses_nothing() -> None:
    assert accuracy_recovered(predictions(1, 2), predictions(1, 2), predictions(1, 9)) is None


def test_frechet_distance_of_a_set_to_itself_is_zero() -> None:
    for count in (10, 200):  # fewer and more than the features
        features = np.random.default_rng(1).normal(size=(count, 40)).astype(np.float32)
        assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_in_closed_form() -> None:
    features = np.random.default_rng(2).normal(size=(300, 20)).astype(np.float32)
    features -= features.mean(axis=0)
    total = float(np.cov(features.T).trace())
    shift = np.linspace(0, 1, 20, dtype=np.float32)
    assert frechet_distance(features, features + shift) == pytest.approx(float((shift**2).sum()), rel=1e-4)
    # Covariances C and 9 C commute: tr(C + 9 C - 2 * 3 C) = 4 tr(C).
    assert frechet_distance(features, 3 * features) == pytest.approx(4 * total, rel=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"no weights at all")
    for name in ("other.safetensors", "missing.safetensors"):
        with pytest.raises(SetupError, match="not MobileNetV2 weights"):
            RecognitionModel(tmp_path / name)


@pytest.fixture(scope="module")
def recognition_model() -> RecognitionModel:
    weights = DATA / "weights" / "mobilenet_v2_1.0_224_imagenet.safetensors"
    if not weights.exists():
        pytest.skip(f"{weights} is not there")
    return RecognitionModel(weights)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    files = sorted((DATA / "photographs" / "test").glob("imagenet_*"))[:24]
    if not files:
        pytest.skip(f"{DATA} has no pictures")
    return [picture for file in files if (picture := read_picture(file, 256)) is not None]


def test_predictions_are_meaningful(recognition_model: RecognitionModel, pictures: list[Picture]) -> None:
    """Weights loaded in a wrong order or layout give random predictions: one in a thousand is right."""
    upright = recognition_model.predict(pictures)
    mirrored = recognition_model.predict([picture[:, ::-1] for picture in pictures])
    blue_for_red = recognition_model.predict([picture[..., ::-1] for picture in pictures])
    same = (upright.labels == mirrored.labels).mean()
    assert same > 0.7
    assert (upright.labels == blue_for_red.labels).mean() < same
    assert len(set(upright.labels)) > len(pictures) / 2


def test_pictures_of_a_batch_do_not_affect_each_other(
    recognition_model: RecognitionModel, pictures: list[Picture]
) -> None:
    together, alone = recognition_model.predict(pictures[:3]), recognition_model.predict(pictures[1:2])
    assert together.features[1] == pytest.approx(alone.features[0], abs=1e-3)
    assert together.features.shape == (3, 1280)


def test_only_the_center_is_used(recognition_model: RecognitionModel, pictures: list[Picture]) -> None:
    picture = np.ascontiguousarray(pictures[0][:256, :256])
    assert picture.shape == (256, 256, 3)
    framed, edge = picture.copy(), (256 - SIDE) // 2
    framed[:edge], framed[-edge:] = 0, 255
    assert recognition_model.predict([framed]).features == pytest.approx(
        recognition_model.predict([picture]).features
    )
