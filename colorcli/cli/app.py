"""The command line: commands registered, errors mapped to one line and an exit code."""

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from colorcli._version import __version__
from colorcli.cli.config import load_defaults
from colorcli.errors import ColorcliError, ExitCode

app = typer.Typer(
    help="Give black-and-white photographs and film their color back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = {"run": "run", "train": "train", "export": "export", "eval": "evaluate", "doctor": "doctor"}
"""Command name -> module and function in `colorcli.cli`."""

for command, module in COMMANDS.items():
    function = getattr(import_module(f"colorcli.cli.{module}"), module)
    app.command(command)(function)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"colorcli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Give black-and-white photographs and film their color back."""
    commands: dict[str, Any] = context.command.commands  # type: ignore[attr-defined]
    context.default_map = load_defaults({name: _settings(command) for name, command in commands.items()})


def _settings(command: Any) -> dict[str, str]:
    """The names by which a configuration file sets a command's parameters: those of its long flags."""
    return {
        flag.removeprefix("--").replace("-", "_"): parameter.name
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--")
    }


def main() -> None:
    """Run the command line; every expected failure is one line on stderr and its exit code.

    Where the reader of our output goes away early, as `head` does, Typer ends quietly with exit code 1.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # it would warn of bad files in its own words, too
    try:
        app(prog_name="colorcli")
    except ColorcliError as error:
        sys.stderr.write(f"colorcli: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("colorcli: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)
