"""A wrong command line as one line that names the flag, the variable or the file with the wrong value."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from colorcli.cli.config import config_path
from colorcli.errors import UsageError


def usage_error(error: Any) -> UsageError:
    """One of our own errors from one of Typer's."""
    command = error.ctx.command_path if error.ctx else "colorcli"
    place = _place(error)
    cause = error.message.replace("Input should be", "must be") if place else error.format_message()
    return UsageError(place or command, cause.rstrip("."), _remedy(error, command))


def _remedy(error: Any, command: str) -> str:
    option = getattr(error, "option_name", "")
    if command == "colorcli" and option:
        return "options come after the command, as in: colorcli run --json"
    if command == "colorcli" and Path(sys.argv[-1] if len(sys.argv) == 2 else "").exists():
        return f"as in: colorcli run {sys.argv[1]} -o OUT"
    if len(option) == 2:
        return f"`{command} --help` lists all options; a file whose name begins with - is ./-NAME"
    return f"`{command} --help` lists all options"


def report_usage(error: UsageError, arguments: Sequence[str]) -> None:
    """Write the summary of a run that did not begin, where its events would have gone."""
    from colorcli.cli.console import json_sink, problem_summary

    pairs = pairwise([*arguments, ""])
    is_data = any(pair in (("-o", "-"), ("--output", "-")) for pair in pairs)
    is_data |= any(word in ("-o-", "--output=-") for word in arguments)
    json_sink(sys.stderr if is_data else sys.stdout)(problem_summary(error))
    error.reported = is_data


def _place(error: Any) -> str | None:
    """What has a wrong value: a flag, a variable or the configuration file; None if it is something else."""
    parameter, context = getattr(error, "param", None), error.ctx
    if parameter is None or context is None or not error.message:
        return None
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "DEFAULT_MAP":
        return f"{config_path()}: [{context.info_name}] {parameter.opts[0].removeprefix('--')}"
    if source is not None and source.name == "ENVIRONMENT":
        return str(parameter.envvar)
    return str(parameter.opts[0])
