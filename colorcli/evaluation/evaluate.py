"""Evaluation: color pictures are made gray, colorized as `run` does, and compared with the originals."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from colorcli.color.detection import has_color
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import InputError
from colorcli.evaluation import coco
from colorcli.evaluation.metrics import Scores, colorfulness, mean_scores, score
from colorcli.evaluation.pictures import (
    Picture,
    find_pictures,
    from_planes,
    read_picture,
    to_planes,
)
from colorcli.evaluation.recognition import (
    Predictions,
    RecognitionModel,
    accuracy_recovered,
    frechet_distance,
)

BATCH = 16
"""Pictures in memory at once: enough to keep all cores busy."""
SMALLEST_SIDE = 7
"""In pixels: a smaller picture does not contain a window of SSIM."""


class Versions(NamedTuple):
    """One picture in its three versions."""

    real: Picture
    gray: Picture
    colorized: Picture


@dataclass(frozen=True)
class Figures:
    """Mean scores of one version of all pictures, and the figures that need the whole set."""

    scores: Scores
    colorfulness_share: float | None
    """Mean colorfulness relative to the originals'; None if these are gray."""
    accuracy_recovered: float | None = None
    """Share of the top-1 accuracy lost with the color that is recovered; None if not measured."""
    frechet_share: float | None = None
    """Frechet distance to the originals, over that of gray pictures: 0 is equal, 1 is as far as gray."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome for a set of pictures."""

    pictures: int
    """Number of pictures compared."""
    skipped: list[str]
    """Files that cannot be read as pictures or are too small to compare."""
    colorless: int
    """Number of pictures compared that are black and white or toned: nothing can be learned from them."""
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
        files += coco.coco_sample()[-coco.TEST :] if source == coco.NAME else find_pictures([source])
    return files


def evaluate_predictor(
    predictor: ChromaPredictor,
    files: Sequence[Path],
    recognition_model: RecognitionModel | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Colorize each picture once, its short side reduced to the predictor's working size, and score it.

    Raises:
        InputError: none of the files is usable.
    """
    colorized: list[Scores] = []
    gray: list[Scores] = []
    originals: list[float] = []
    skipped: list[str] = []
    colorless = 0
    predictions: list[tuple[Predictions, ...]] = []
    with ThreadPoolExecutor() as pool:
        for batch in _batches(predictor, files, pool, skipped, progress):
            colorized += pool.map(lambda each: score(each.real, each.colorized), batch)
            gray += pool.map(lambda each: score(each.real, each.gray), batch)
            originals += [colorfulness(each.real) for each in batch]
            colorless += sum(not has_color(*to_planes(each.real)) for each in batch)
            if recognition_model is not None:
                predictions.append(
                    tuple(recognition_model.predict(list(each)) for each in zip(*batch, strict=True))
                )
    if not colorized:
        raise InputError(files[0].parent, "no usable picture in it", "give folders of color pictures")
    original = float(np.mean(originals))
    of_gray, of_colorized = _recognition_figures(predictions)
    return Evaluation(
        pictures=len(colorized),
        skipped=skipped,
        colorless=colorless,
        original_colorfulness=original,
        gray=_figures(mean_scores(gray), original, *of_gray),
        colorized=_figures(mean_scores(colorized), original, *of_colorized),
    )


def figures_as_json(figures: Figures) -> dict[str, Any]:
    """The stable names under which `eval --json` prints the figures; what was not measured is null."""
    shares = {name: value for name, value in vars(figures).items() if name != "scores"}
    return {**vars(figures.scores), "psnr_of_mse": figures.scores.psnr_of_mse, **shares}


def _batches(
    predictor: ChromaPredictor,
    files: Sequence[Path],
    pool: ThreadPoolExecutor,
    skipped: list[str],
    progress: Callable[[int], None],
) -> Iterator[list[Versions]]:
    """Batches of pictures in three versions; unusable files are added to `skipped`."""
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        pictures = pool.map(lambda path: read_picture(path, predictor.size), batch)
        versions = []
        for file, real in zip(batch, pictures, strict=True):
            if real is None or min(real.shape[:2]) < SMALLEST_SIDE:
                skipped.append(str(file))
            else:
                versions.append(_versions(predictor, real))
        if versions:
            yield versions
        progress(start + len(batch))


def _versions(predictor: ChromaPredictor, real: Picture) -> Versions:
    luma, _ = to_planes(real)
    return Versions(real, from_planes(luma), from_planes(luma, predictor.colorize(luma)))


def _figures(scores: Scores, original: float, recovered: float | None, frechet: float | None) -> Figures:
    return Figures(scores, scores.colorfulness / original if original else None, recovered, frechet)


def _recognition_figures(batches: list[tuple[Predictions, ...]]) -> list[tuple[float | None, float | None]]:
    """Accuracy recovered and share of gray's Frechet distance, of the gray and of the colorized versions."""
    if not batches:
        return [(None, None)] * 2
    real, gray, colorized = (Predictions.concatenated(list(parts)) for parts in zip(*batches, strict=True))
    # One picture has no covariance.
    farthest = frechet_distance(real.features, gray.features) if len(real.labels) > 1 else 0
    return [
        (
            accuracy_recovered(real, gray, version),
            frechet_distance(real.features, version.features) / farthest if farthest else None,
        )
        for version in (gray, colorized)
    ]
