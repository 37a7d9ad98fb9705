"""The command line: registers the commands, and turns errors into one line and an exit code."""

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from colorcli._version import __version__
from colorcli.cli.config import load_defaults
from colorcli.cli.usage import report_usage, usage_error
from colorcli.errors import ColorcliError, ExitCode
from colorcli.signals import Interrupted


class _PlainFlags:
    """Help without the type of options that take no value, where Typer would have `<bool>`."""

    def get_params(self, context: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(context)  # type: ignore[misc]
        for each in parameters:
            if getattr(each, "is_flag", False):
                each.metavar = ""
        return parameters


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    pass


app = typer.Typer(
    cls=_Group,
    help="Colorize black-and-white photographs and film.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = {
    "run": "run", "shots": "shots", "refs": "refs", "touch": "touch", "status": "status", "merge": "merge",
    "train": "train", "export": "export", "eval": "evaluate", "doctor": "doctor",
}  # fmt: skip
"""Command name -> its module and function in `colorcli.cli`."""

for command, module in COMMANDS.items():
    function = getattr(import_module(f"colorcli.cli.{module}"), module)
    app.command(command, cls=_Command)(function)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"colorcli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Colorize black-and-white photographs and film."""
    commands: dict[str, Any] = context.command.commands  # type: ignore[attr-defined]
    defaults = load_defaults({name: _settings(command) for name, command in commands.items()})
    context.default_map = {name: _listed(commands[name], values) for name, values in defaults.items()}


def _settings(command: Any) -> dict[str, str]:
    """Configuration key -> parameter of a command; the keys are its long flags."""
    return {
        flag.removeprefix("--").replace("-", "_"): parameter.name
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--")
    }


def _listed(command: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    """The defaults, with a single value of a repeatable flag as a list."""
    repeatable = {parameter.name for parameter in command.params if getattr(parameter, "multiple", False)}
    return {
        name: [value] if name in repeatable and not isinstance(value, list) else value
        for name, value in defaults.items()
    }


def main() -> None:
    """Run the command line; an expected failure is one line on stderr and an exit code.

    If the reader of our output closes it early, as `head` does, Typer exits quietly with code 1.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it would print its own warnings about damaged files
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # others would spin on cores that other stages use
    try:
        sys.exit(app(prog_name="colorcli", standalone_mode=False))
    except ColorcliError as error:
        if not error.reported:
            sys.stderr.write(f"colorcli: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt as error:
        with suppress(OSError):  # after SIGHUP there is no terminal
            sys.stderr.write("colorcli: interrupted\n")
        sys.exit(error.exit_code if isinstance(error, Interrupted) else ExitCode.INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's own errors, whose class is private to it
            raise
        wrong = usage_error(error)
        if not wrong.cause:  # no arguments at all: the help has been shown
            sys.exit(wrong.exit_code)
        if "run" in sys.argv and "--json" in sys.argv:
            report_usage(wrong, sys.argv)
        if not wrong.reported:
            sys.stderr.write(f"colorcli: {wrong}\n")
        sys.exit(wrong.exit_code)
