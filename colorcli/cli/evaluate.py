"""`colorcli eval`: the quality of a model, each figure beside that of gray images."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import ExitCode, needs_extra
from colorcli.options import (
    DEFAULT_MODELS,
    NO_KINDS,
    Device,
    Flag,
    Json,
    ModelFiles,
    ModelKinds,
    Saturation,
    WorkingSize,
)

if TYPE_CHECKING:
    from colorcli.evaluation.evaluate import Evaluation, Figures


@with_options
def evaluate(
    data: Annotated[
        list[str],
        Argument(metavar="DATA...", help="Folders of color images, or coco-sample (its test part)."),
    ],
    model: ModelFiles = DEFAULT_MODELS,
    model_kind: ModelKinds = NO_KINDS,
    device: Device = "auto",
    size: WorkingSize = None,
    saturation: Saturation = 1.0,
    recognition_model: Annotated[
        Path | None,
        Flag("MobileNetV2 weights (.safetensors): adds figures of recognition.", metavar="WEIGHTS"),
    ] = None,
    json: Json = False,
) -> None:
    """Measure a model on images whose colors are known, beside the gray baseline."""
    with needs_extra("colorcli eval", "train"):
        from colorcli.evaluation.evaluate import evaluate_predictor, evaluation_files
        from colorcli.evaluation.recognition import RecognitionModel
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.models import open_model
    from colorcli.progress import progress_bar

    files = evaluation_files(data)
    classifier = RecognitionModel(recognition_model) if recognition_model else None
    with open_model(model, device, kinds=model_kind) as opened, progress_bar() as bar:
        task = bar.add_task("images", total=len(files))
        predictor = ChromaPredictor(opened, size=size, saturation=saturation)
        result = evaluate_predictor(
            predictor, files, classifier, lambda done: bar.update(task, completed=done)
        )
        card = opened.card
    if json:
        facts = {"model": vars(card), "short_side": predictor.size, "saturation": saturation}
        typer.echo(json_format.dumps({**facts, **_as_json(result)}))
    else:
        title = f"{card.name} {card.version}, {result.pictures} images, short side {predictor.size}"
        _print_table(result, title)
    for name in result.skipped:
        typer.echo(f"colorcli: {name}: not a readable image of at least 7x7 pixels; left out", err=True)
    if result.colorless:
        share = f"{result.colorless} of {result.pictures} images have no color of their own"
        typer.echo(f"colorcli: {share}; the figures count them, give color images only", err=True)
    sys.exit(ExitCode.SOME_FAILED if result.skipped else ExitCode.OK)


def _as_json(result: "Evaluation") -> dict[str, object]:
    """The result with the gains over gray. The field names are stable, `grey` included."""
    from colorcli.evaluation.evaluate import figures_as_json

    colorized, gray = result.colorized.scores, result.gray.scores
    return {
        "pictures": result.pictures,
        "skipped": result.skipped,
        "colorless": result.colorless,
        "original_colorfulness": result.original_colorfulness,
        "grey": figures_as_json(result.gray),
        "colorized": figures_as_json(result.colorized),
        "ciede2000_under_grey": 1 - colorized.ciede2000 / gray.ciede2000 if gray.ciede2000 else None,
        "psnr_over_grey": colorized.psnr - gray.psnr,
        "psnr_of_mse_over_grey": colorized.psnr_of_mse - gray.psnr_of_mse,
    }


def _print_table(result: "Evaluation", title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for column in ("gray", "colorized", "gain over gray"):
        table.add_column(column, justify="right")
    for row in _rows(result.gray, result.colorized):
        table.add_row(*row)
    Console().print(table)


def _rows(gray: "Figures", colorized: "Figures") -> list[tuple[str, str, str, str]]:
    """Name, figure of the gray images, figure of the colorized ones, gain."""
    a, b = gray.scores, colorized.scores
    shares = gray.colorfulness_share, colorized.colorfulness_share
    distances = a.colorfulness_distance, b.colorfulness_distance
    rows = [
        ("PSNR, mean of the images', dB", *_higher_is_better(a.psnr, b.psnr, 2)),
        ("PSNR of the mean squared error, dB", *_higher_is_better(a.psnr_of_mse, b.psnr_of_mse, 2)),
        ("SSIM", *_higher_is_better(a.ssim, b.ssim, 4)),
        ("CIEDE2000", *_lower_is_better(a.ciede2000, b.ciede2000)),
        ("colorfulness, share of originals'", *_shares(*shares)),
        ("colorfulness, distance to originals'", *_lower_is_better(*distances)),
    ]
    if colorized.accuracy_recovered is not None or colorized.frechet_share is not None:
        recovered = gray.accuracy_recovered, colorized.accuracy_recovered
        rows += [
            ("accuracy recovered, of what gray loses", *_shares(*recovered)),
            ("Frechet distance, share of gray's", *_shares(gray.frechet_share, colorized.frechet_share)),
        ]
    return rows


def _higher_is_better(before: float, after: float, digits: int) -> tuple[str, str, str]:
    return f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after - before:+.{digits}f}"


def _lower_is_better(before: float, after: float) -> tuple[str, str, str]:
    return f"{before:.2f}", f"{after:.2f}", f"{100 * (after / before - 1):+.1f} %" if before else ""


def _shares(before: float | None, after: float | None) -> tuple[str, str, str]:
    """Two percentages; empty where nothing was measured."""
    first, second = ("" if value is None else f"{100 * value:.1f} %" for value in (before, after))
    return first, second, ""
