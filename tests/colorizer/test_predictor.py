"""The working size, saturation and hints of a predictor, with a model that takes no hints itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from support import stand_ins

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import ReferencePicture
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.engines import Engine
from colorcli.errors import UsageError
from colorcli.models import ModelAdapter, open_model
from colorcli.networks.card import ModelCard


class Sepia(ModelAdapter):
    """Gives every pixel the same chroma."""

    card = ModelCard(name="sepia", version="1", architecture="none", working_size=48)
    takes_hints = False
    device = "cpu"
    chroma = (-0.1, 0.2)

    def __init__(self) -> None:
        self.pictures = 0

    @staticmethod
    def matches(engine: Engine) -> bool:
        return False

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        self.pictures += len(lumas)
        column = np.reshape(self.chroma, (2, 1, 1)).astype(np.float32)
        return [np.repeat(np.repeat(column, len(luma), 1), luma.shape[1], 2) for luma in lumas]


def textured(height: int = 48, width: int = 64) -> Plane:
    return np.random.default_rng(0).random((height, width), np.float32)


@pytest.mark.parametrize(
    ("shape", "working"),
    [((480, 640), (48, 64)), ((640, 480), (64, 48)), ((20, 30), (20, 30)), ((1, 900), (1, 900))],
)
def test_pictures_shrink_to_the_working_size_and_never_grow(
    shape: tuple[int, int], working: tuple[int, int]
) -> None:
    predictor = ChromaPredictor(Sepia())
    assert predictor.working_shape(*shape) == working
    assert predictor.shrink(np.zeros(shape, np.float32)).shape == working


class PixelByPixel(Sepia):
    """Chroma that is a function of each pixel's luma, and of whether it is hinted."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        self.largest = max(self.largest, *(luma.size for luma in lumas))
        hinted = [0 if known is None else known.mask for known in hints]
        return [
            np.stack([luma - 0.5, 0.1 * mask - luma / 4]) for luma, mask in zip(lumas, hinted, strict=True)
        ]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("length", [30_000, 87_381, 87_382, 400_000])
def test_panoramas_are_predicted_in_windows_without_seams(length: int, turned: bool) -> None:
    luma = textured(12, length)
    luma = np.ascontiguousarray(luma.T) if turned else luma
    mask = (luma > 0.5).astype(np.float32)
    hints = Hints(np.zeros((2, *luma.shape), np.float32), mask)
    model = PixelByPixel()
    chroma = ChromaPredictor(model)._predict([luma], [hints])[0]
    assert np.abs(chroma - np.stack([luma - 0.5, 0.1 * mask - luma / 4])).max() < 1e-6
    assert model.largest <= 1 << 20


def test_saturation_scales_chroma_within_its_range() -> None:
    for saturation, expected in ((0.0, 0.0), (0.5, 0.1), (2.0, 0.4), (9.0, 0.5)):
        (chroma,) = ChromaPredictor(Sepia(), saturation=saturation).predict([textured()])
        assert chroma[1] == pytest.approx(expected, abs=1e-6)


def test_chroma_meets_a_hint_even_if_the_model_takes_none() -> None:
    hints = Hints(np.zeros((2, 48, 64), np.float32), np.zeros((48, 64), np.float32))
    hints.chroma[:, 20:25, 30:35], hints.mask[20:25, 30:35] = 0.25, 1
    (chroma,) = ChromaPredictor(Sepia()).predict([np.full((48, 64), 0.5, np.float32)], [hints])
    assert chroma[:, 22, 32] == pytest.approx(0.25, abs=0.01)


class Disturbed(Sepia):
    """Answers a hint with other colors everywhere."""

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        return [
            chroma if known is None else chroma + np.float32(0.1)
            for chroma, known in zip(super().predict(lumas, hints), hints, strict=True)
        ]


def test_hints_that_fill_their_region_leave_the_rest_as_it_is() -> None:
    luma = np.full((48, 64), 0.4, np.float32)
    luma[:, 32:] = 0.8
    mask = np.zeros_like(luma)
    mask[:, :30] = 0.5
    hints = Hints(np.zeros((2, 48, 64), np.float32), mask, fills_regions=True)
    (chroma,) = ChromaPredictor(Disturbed()).predict([luma], [hints])
    assert np.abs(chroma[:, :, :30]).max() < 0.02
    assert np.abs(chroma[:, :, 40:].mean(axis=(1, 2)) - Sepia.chroma).max() < 0.02


def test_chroma_comes_back_at_the_size_of_the_picture() -> None:
    chroma = ChromaPredictor(Sepia()).colorize(textured(100, 150))
    assert chroma.shape == (2, 100, 150)
    assert chroma[1] == pytest.approx(0.2, abs=1e-3)


def test_a_reference_is_predicted_once_for_all_pictures(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "reference.png"), cast(Any, rgb))
    model, reference = Sepia(), ReferencePicture(tmp_path / "reference.png")
    predictor = ChromaPredictor(model)
    for _ in range(3):
        reference.hints_for(textured(), predictor)
    assert model.pictures == 3 + 1


def test_a_working_size_that_the_model_cannot_take_is_refused(tmp_path: Path) -> None:
    fixed, free = (stand_ins.write(tmp_path / f"{size}.onnx", "deoldify", size) for size in (64, None))
    with open_model(fixed, "cpu", kinds="deoldify") as model:
        assert ChromaPredictor(model, size=64).size == 64
        with pytest.raises(UsageError, match="works at 64x64 only; leave out --size"):
            ChromaPredictor(model, size=96)
    for files in (free, [fixed, free]):
        kinds = ["deoldify"] * (1 if files is free else 2)
        with open_model(files, "cpu", kinds=kinds) as model:
            assert ChromaPredictor(model, size=96).size == 96
