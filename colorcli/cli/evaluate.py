"""`colorcli eval`: how good a generator is, every figure beside what gray pictures score."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from colorcli.errors import ExitCode, SetupError

if TYPE_CHECKING:
    from colorcli.evaluation.evaluate import Evaluation, Figures


def evaluate(
    data: Annotated[
        list[str],
        Argument(metavar="DATA...", help="Folders of color pictures, or coco-sample (its test part)."),
    ],
    model: Annotated[
        Path | None, Option(envvar="COLORCLI_MODEL", help="Generator file; the built-in one if left out.")
    ] = None,
    device: Annotated[
        str, Option(envvar="COLORCLI_DEVICE", help="auto, cpu, cuda, cuda:N, openvino or tensorrt.")
    ] = "auto",
    size: Annotated[int | None, Option(min=32, help="Short side of the pictures and of the network.")] = None,
    saturation: Annotated[float, Option(min=0, max=4, help="Multiplies the colors.")] = 1.0,
    recognition_model: Annotated[
        Path | None,
        Option(
            metavar="WEIGHTS",
            help="MobileNetV2 weights (.safetensors): recognition_model by what an ImageNet classifier recognizes, too.",
        ),
    ] = None,
    json: Annotated[bool, Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Measure a generator on pictures whose colors are known, always beside leaving them gray."""
    try:
        from colorcli.evaluation.evaluate import evaluate_colorizer, evaluation_files
        from colorcli.evaluation.recognition import RecognitionModel
    except ModuleNotFoundError as error:
        raise SetupError(
            "colorcli eval", f"{error.name} is not installed", "pip install 'colorcli[train]'"
        ) from error
    from colorcli import engines
    from colorcli.colorizer.predictor import Colorizer
    from colorcli.options import DEFAULT_MODEL

    files = evaluation_files(data)
    network = RecognitionModel(recognition_model) if recognition_model else None
    with engines.open(model or DEFAULT_MODEL, device) as engine, _Progress(len(files)) as progress:
        colorizer = Colorizer(engine, size=size, saturation=saturation)
        result = evaluate_colorizer(colorizer, files, network, progress.done)
        title = f"{engine.card.name} {engine.card.version}"
        if json:
            facts = {"model": vars(engine.card), "short_side": colorizer.size, "saturation": saturation}
            typer.echo(json_format.dumps({**facts, **_as_json(result)}))
        else:
            _print_table(result, f"{title}, {result.pictures} pictures, short side {colorizer.size}")
    for name in result.skipped:
        typer.echo(f"colorcli: {name}: not a readable picture of 7 pixels or more; left out", err=True)
    sys.exit(ExitCode.SOME_FAILED if result.skipped else ExitCode.OK)


class _Progress:
    """A bar on stderr while a person is watching."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress

        console = Console(stderr=True)
        self._bar = Progress(
            *Progress.get_default_columns(), MofNCompleteColumn(),
            console=console, disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("pictures", total=total)

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def done(self, count: int) -> None:
        self._bar.update(self._task, completed=count)


def _as_json(result: "Evaluation") -> dict[str, object]:
    from colorcli.evaluation.evaluate import figures_as_json

    made, gray = result.colorized.scores, result.gray.scores
    return {
        "pictures": result.pictures,
        "skipped": result.skipped,
        "original_colorfulness": result.original_colorfulness,
        "grey": figures_as_json(result.gray),
        "colorized": figures_as_json(result.colorized),
        "ciede2000_under_grey": 1 - made.ciede2000 / gray.ciede2000 if gray.ciede2000 else None,
        "psnr_over_grey": made.psnr - gray.psnr,
        "psnr_of_mse_over_grey": made.psnr_of_mse - gray.psnr_of_mse,
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


def _rows(gray: "Figures", made: "Figures") -> list[tuple[str, str, str, str]]:
    """Name, gray's figure, the generator's, and what it gained."""
    a, b = gray.scores, made.scores
    rows = [
        ("PSNR, mean of the pictures', dB", *_more(a.psnr, b.psnr, 2)),
        ("PSNR of the mean squared error, dB", *_more(a.psnr_of_mse, b.psnr_of_mse, 2)),
        ("SSIM", *_more(a.ssim, b.ssim, 4)),
        ("CIEDE2000", *_less(a.ciede2000, b.ciede2000)),
        (
            "colorfulness, share of originals'",
            _percent(gray.colorfulness_share),
            _percent(made.colorfulness_share),
            "",
        ),
        ("colorfulness, distance to originals'", *_less(a.colorfulness_distance, b.colorfulness_distance)),
    ]
    if made.accuracy_recovered is not None or made.frechet_share is not None:
        rows += [
            (
                "recognition lost by gray, won back",
                _percent(gray.accuracy_recovered),
                _percent(made.accuracy_recovered),
                "",
            ),
            (
                "Frechet distance, share of gray's",
                _percent(gray.frechet_share),
                _percent(made.frechet_share),
                "",
            ),
        ]
    return rows


def _more(before: float, after: float, digits: int) -> tuple[str, str, str]:
    """Of a figure where more is better."""
    return f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after - before:+.{digits}f}"


def _less(before: float, after: float) -> tuple[str, str, str]:
    """Of a figure where less is better."""
    return f"{before:.2f}", f"{after:.2f}", f"{100 * (after / before - 1):+.1f} %" if before else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
