"""Typer parameters from the `Flag`s that `colorcli.options` and the commands state."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_args

from typer import Option

from colorcli.options import Flag, all_fields, build_options

METAVARS = {Path: "FILE", str: "TEXT", int: "N", float: "N"}


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function whose parameters are annotated with `Flag`s or are options dataclasses.

    A parameter with a `Flag` becomes one option. A parameter of a dataclass type becomes an option per field
    that has a `Flag`, in a help panel of its own, and receives the dataclass. Others are left to Typer.
    """
    declared = inspect.signature(function).parameters.values()
    groups: dict[str, Any] = {
        each.name: each.annotation for each in declared if is_dataclass(each.annotation)
    }
    parameters: list[Parameter] = []
    for each in declared:
        if each.name in groups:
            parameters += [
                _option(one.name, one.type, one.default, kind.PANEL)
                for kind, one in all_fields(each.annotation)
                if _flag(one.type)
            ]
        else:
            parameters.append(_option(each.name, each.annotation, each.default))

    @wraps(function)
    def command(**values: Any) -> None:
        built: dict[str, Any] = {name: build_options(kind, values) for name, kind in groups.items()}
        function(**values, **built)

    ordered = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in ordered}
    return command


def _option(name: str, annotation: Any, default: Any, panel: str | None = None) -> Parameter:
    flag = _flag(annotation)
    if flag is not None:
        long = flag.name or name.replace("_", "-")
        if isinstance(default, bool):
            spelling = f"--{long}/--no-{long}" if default else f"--{long}"
        else:
            spelling = f"--{long}"
        option = Option(
            *filter(None, [flag.short, spelling]),
            help=flag.help,
            envvar=f"COLORCLI_{long.replace('-', '_').upper()}" if flag.env else None,
            metavar=flag.metavar or _metavar(get_args(annotation)[0]),
            min=flag.min,
            max=flag.max,
            autocompletion=_completion(flag.values) if flag.values else None,
            show_default=not isinstance(default, Path | tuple),
            rich_help_panel=panel,
        )
        annotation = Annotated[get_args(annotation)[0], option]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _metavar(kind: Any) -> str | None:
    """What the help calls a value of this type; None leaves it to Typer."""
    kinds = get_args(kind) or (kind,)  # `int | None` and `list[Path]`, too
    return next((word for each, word in METAVARS.items() if each in kinds), None)


def _completion(values: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def _flag(annotation: Any) -> Flag | None:
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, Flag)), None)
