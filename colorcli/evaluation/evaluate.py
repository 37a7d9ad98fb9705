"""How good a generator is: pictures of known colors, made gray, colorized as `run` does, and compared."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colorcli.color.ycbcr import fit_gamut, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import InputError
from colorcli.evaluation.metrics import Picture, Scores, mean_scores, score
from colorcli.evaluation.recognition import (
    Predictions,
    RecognitionModel,
    accuracy_recovered,
    frechet_distance,
)
from colorcli.train.pictures import (
    COCO_SAMPLE,
    COCO_TEST,
    coco_sample,
    colorfulness,
    find_pictures,
    read_picture,
)
from colorcli.train.validate import to_picture

BATCH = 16
"""Pictures worked on at once: enough to keep all cores busy, few enough to hold in memory."""
LEAST_SIDE = 7
"""Smaller pictures do not hold one window of SSIM."""


@dataclass(frozen=True)
class Trio:
    """One picture three times over."""

    real: Picture
    gray: Picture
    made: Picture


@dataclass(frozen=True)
class Figures:
    """Scores of one way of treating all pictures, with what only the whole set can tell."""

    scores: Scores
    colorfulness_share: float | None
    """Mean colorfulness over the originals'; None where they have none."""
    accuracy_recovered: float | None = None
    """Share of the recognition_model's top-1 agreement lost by going gray that is won back."""
    frechet_share: float | None = None
    """Frechet distance of the recognition_model's features to the originals', over gray's: 0 as they are, 1 as gray."""


@dataclass(frozen=True)
class Evaluation:
    pictures: int
    skipped: list[str]
    """Files that cannot be read as pictures, or are too small to compare."""
    original_colorfulness: float
    gray: Figures
    colorized: Figures


def evaluation_files(data: Sequence[str]) -> list[Path]:
    """Folders -> the pictures in them; `coco-sample` -> its 2,000 test pictures.

    Raises:
        InputError: a folder is missing or holds no pictures.
    """
    files: list[Path] = []
    for source in data:
        files += coco_sample()[-COCO_TEST:] if source == COCO_SAMPLE else find_pictures([source])
    return files


def evaluate_colorizer(
    colorizer: ChromaPredictor,
    files: Sequence[Path],
    recognition_model: RecognitionModel | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """One forward pass per picture, its short side reduced to the colorizer's working size.

    Raises:
        InputError: not one picture can be used.
    """
    made: list[Scores] = []
    gray: list[Scores] = []
    originals: list[float] = []
    skipped: list[str] = []
    seen = _Seen()
    with ThreadPoolExecutor() as pool:
        for trios in _trios(colorizer, files, pool, skipped, progress):
            made += pool.map(lambda trio: score(trio.real, trio.made), trios)
            gray += pool.map(lambda trio: score(trio.real, trio.gray), trios)
            originals += [colorfulness(trio.real) for trio in trios]
            if recognition_model is not None:
                seen.add(recognition_model, trios)
    if not made:
        raise InputError(files[0].parent, "no usable picture in it", "give folders of color pictures")
    original = float(np.mean(originals))
    return Evaluation(
        pictures=len(made),
        skipped=skipped,
        original_colorfulness=original,
        gray=_figures(mean_scores(gray), original, *seen.verdict(seen.gray)),
        colorized=_figures(mean_scores(made), original, *seen.verdict(seen.made)),
    )


def figures_as_json(figures: Figures) -> dict[str, Any]:
    """The stable names under which `eval --json` gives the figures; what was not measured is null."""
    shares = {name: value for name, value in vars(figures).items() if name != "scores"}
    return {**vars(figures.scores), "psnr_of_mse": figures.scores.psnr_of_mse, **shares}


def _trios(
    colorizer: ChromaPredictor,
    files: Sequence[Path],
    pool: ThreadPoolExecutor,
    skipped: list[str],
    progress: Callable[[int], None],
) -> Iterator[list[Trio]]:
    """Batches of pictures with their gray and colorized versions; files of no use go to `skipped`."""
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        trios = []
        for file, real in zip(
            batch, pool.map(lambda path: read_picture(path, colorizer.size), batch), strict=True
        ):
            if real is None or min(real.shape[:2]) < LEAST_SIDE:
                skipped.append(str(file))
            else:
                trios.append(_trio(colorizer, real))
        if trios:
            yield trios
        progress(start + len(batch))


def _trio(colorizer: ChromaPredictor, real: Picture) -> Trio:
    luma, _ = ycbcr_from_rgb(real.transpose(2, 0, 1) / np.float32(255))
    chroma = fit_gamut(luma, colorizer.colorize(luma))
    return Trio(real, to_picture(np.stack([luma] * 3)), to_picture(rgb_from_ycbcr(luma, chroma)))


def _figures(
    scores: Scores, original: float, accuracy_recovered: float | None, frechet_share: float | None
) -> Figures:
    share = scores.colorfulness / original if original else None
    return Figures(scores, share, accuracy_recovered, frechet_share)


class _Seen:
    """What the recognition_model has seen so far; empty where there is no recognition_model."""

    def __init__(self) -> None:
        self.real: list[Predictions] = []
        self.gray: list[Predictions] = []
        self.made: list[Predictions] = []

    def add(self, recognition_model: RecognitionModel, trios: list[Trio]) -> None:
        self.real.append(recognition_model.look([trio.real for trio in trios]))
        self.gray.append(recognition_model.look([trio.gray for trio in trios]))
        self.made.append(recognition_model.look([trio.made for trio in trios]))

    def verdict(self, parts: list[Predictions]) -> tuple[float | None, float | None]:
        """Share won back and share of gray's Frechet distance."""
        if not parts:
            return None, None
        real, gray, opinions = (Predictions.joined(p) for p in (self.real, self.gray, parts))
        if len(real.labels) < 2:  # one picture has no covariance
            return accuracy_recovered(real, gray, opinions), None
        most = frechet_distance(real.features, gray.features)
        share = frechet_distance(real.features, opinions.features) / most if most else None
        return accuracy_recovered(real, gray, opinions), share
