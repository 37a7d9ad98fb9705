"""`colorcli export`: a checkpoint's generator as a file for the machine that will run it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from colorcli.core.errors import SetupError, UsageError
from colorcli.core.outputs import whole_file

if TYPE_CHECKING:
    from colorcli.engines.parity import Parity


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="generator.safetensors of a training run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.onnx")],
    precision: Annotated[Precision, typer.Option(help="Of weights and activations.")] = Precision.FP32,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")] = False,
) -> None:
    """Write a generator as an ONNX file and print how far it is from PyTorch."""
    if output.suffix != ".onnx":
        raise UsageError(output, "not a kind of file that can be exported", "name it .onnx")
    if output.exists() and not overwrite:
        raise UsageError(output, "exists", "give another name or --overwrite")
    try:
        from colorcli.engines.onnx_export import export_onnx
    except ImportError as error:
        raise SetupError("export", f"needs {error.name}", "pip install 'colorcli[train]'") from error
    with whole_file(output) as partial:
        export_onnx(checkpoint, partial, precision)
        _check_parity(checkpoint, partial, precision)


def _check_parity(checkpoint: Path, made: Path, precision: Precision) -> None:
    """Print the parity table.

    Raises:
        SetupError: the file gives other colours than the checkpoint.
    """
    from colorcli import engines
    from colorcli.engines.parity import compare

    with engines.open(checkpoint, "cpu") as reference, engines.open(made, "cpu") as engine:
        rows = list(compare(reference, engine))
    _print_table(rows, precision)
    if not all(row.within(precision) for row in rows):
        cause = f"its {precision} export differs from PyTorch by more than rounding"
        raise SetupError(checkpoint, cause, "update torch and onnxruntime, or export another precision")


def _print_table(rows: list["Parity"], precision: Precision) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"Chroma, {precision} against PyTorch, in code values"
    table = Table("pictures", "size", "largest", "mean", title=title)
    for row in rows:
        batch, _, height, width = row.shape
        table.add_row(str(batch), f"{width}x{height}", f"{row.largest:.2g}", f"{row.mean:.2g}")
    Console().print(table)
