"""`colorcli train`: pictures to a generator."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from colorcli.errors import SetupError


def train(
    data: Annotated[list[str], Argument(metavar="DATA...", help="Folders of pictures, or coco-sample.")],
    output: Annotated[Path, Option("-o", "--output", metavar="RUN", help="Folder for weights and logs.")],
    config: Annotated[
        Path | None, Option(metavar="FILE.toml", help="What differs from the defaults.")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Continue the run in RUN.")] = False,
    device: Annotated[str, Option(envvar="COLORCLI_DEVICE", help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Train a generator, alone first, then against a discriminator."""
    try:
        from colorcli.train.run import start
    except ModuleNotFoundError as error:
        raise SetupError(
            "colorcli train", f"{error.name} is not installed", "pip install 'colorcli[train]'"
        ) from error
    start(data, output, config, device, resume=resume)
