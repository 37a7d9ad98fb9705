"""`colorcli train`: images to a model."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import UsageError, needs_extra
from colorcli.options import Flag, model_path
from colorcli.signals import Interrupted

AUTO = "auto"
"""The word after `--resume` that starts a run which has not begun; flags take no value, so it is in DATA."""


@with_options
def train(
    data: Annotated[
        list[str] | None, Argument(metavar="DATA...", help="Folders of images, or coco-sample.")
    ] = None,
    output: Annotated[Path | None, Flag("Folder for weights and logs.", short="-o", metavar="RUN")] = None,
    config: Annotated[
        Path | None,
        Flag("Settings other than the defaults; default: the built-in model's.", metavar="FILE.toml"),
    ] = None,
    source: Annotated[
        Path | None,
        Flag(
            "Fine-tune a model on DATA: default, an .onnx file or generator.safetensors.",
            name="from",
            metavar="MODEL",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        Flag("--from: images of other kinds, which it may color at most 1 % worse.", metavar="FOLDER"),
    ] = None,
    print_config: Annotated[bool, Flag("Print the settings as TOML for --config, and exit.")] = False,
    resume: Annotated[
        bool, Flag("Continue the run in RUN; --resume auto starts it if it has not begun.")
    ] = False,
    device: Annotated[str, Flag("auto, cpu, cuda or cuda:N.", env=True)] = "auto",
) -> None:
    """Train a model: the generator alone first, then against a discriminator; or fine-tune one."""
    if print_config:
        from colorcli.train.config import Config, load_config, to_toml

        typer.echo(to_toml(load_config(config) if config else Config()), nl=False)
        return
    is_auto = resume and AUTO in (data or ())
    data = [folder for folder in data or () if not (is_auto and folder == AUTO)]
    if not data or output is None:
        raise UsageError(
            "colorcli train", "DATA or -o RUN is missing", "as in: colorcli train photos/ -o run"
        )
    with needs_extra("colorcli train", "train"):
        from colorcli.train.run import Resume, start
    model = model_path(source) if source else None
    resumption = Resume.AUTO if is_auto else Resume.YES if resume else Resume.NO
    try:
        start(data, output, config, device, source=model, keep=keep or (), resume=resumption)
    except Interrupted as error:  # Typer would make 130 of every signal
        sys.exit(error.exit_code)
