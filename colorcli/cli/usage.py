"""A wrong command line as one line that names the flag, the variable or the file with the wrong value."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from colorcli.cli.config import config_path
from colorcli.errors import UsageError


def usage_error(error: Any) -> UsageError:
    """One of our own errors from one of Typer's."""
    command = error.ctx.command_path if error.ctx else "colorcli"
    place = _place(error)
    cause = error.message if place else error.format_message()
    return UsageError(place or command, cause.rstrip("."), f"`{command} --help` lists all options")


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
