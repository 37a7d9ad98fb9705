"""Options are stated once, in `colorcli.options`: the command line offers all of them and passes them on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from colorcli.cli.app import app
from colorcli.cli.parameters import with_options
from colorcli.options import Flag, RunOptions, all_fields


@dataclass(frozen=True)
class Inner:
    PANEL: ClassVar = "Inner"

    strength: Annotated[float, Flag("How strong.", env=True, min=0, max=2)] = 1.0
    file: Annotated[Path | None, Flag("A file.", metavar="FILE")] = None
    internal: int = 7


@dataclass(frozen=True)
class Outer:
    PANEL: ClassVar = "Outer"

    inner: Inner
    keep: Annotated[bool, Flag("Kept by default.")] = True
    extra: Annotated[bool, Flag("Off by default.", short="-x")] = False
    kind: Annotated[str | None, Flag("Another name.", name="format")] = None


def received(*arguments: str, **variables: str) -> Any:
    """What a command gets for some arguments; None if they are refused."""
    values: list[Any] = []
    application = typer.Typer()

    @with_options
    def command(name: Annotated[str, Flag("A name.")] = "none", *, outer: Outer) -> None:
        values.append((name, outer))

    application.command()(command)
    result = CliRunner().invoke(application, list(arguments), env=variables)
    return values[0] if result.exit_code == 0 else None


def test_defaults_are_those_of_the_dataclass() -> None:
    assert received() == ("none", Outer(Inner()))


def test_flags_reach_nested_fields() -> None:
    arguments = ["--name", "n", "--strength", "0.5", "--file", "a.txt", "--no-keep", "-x", "--format", "png"]
    expected = Outer(Inner(0.5, Path("a.txt")), keep=False, extra=True, kind="png")
    assert received(*arguments) == ("n", expected)


def test_a_flag_wins_over_its_variable() -> None:
    assert received(COLORCLI_STRENGTH="0.25")[1].inner.strength == 0.25
    assert received("--strength", "2", COLORCLI_STRENGTH="0.25")[1].inner.strength == 2


@pytest.mark.parametrize(
    "arguments", [["--strength", "3"], ["--internal", "3"], ["--no-extra"], ["--kind", "a"]]
)
def test_other_values_and_names_are_refused(arguments: list[str]) -> None:
    assert received(*arguments) is None


def test_run_offers_every_option() -> None:
    commands: Any = get_command(app)
    offered = {parameter.name: parameter for parameter in commands.commands["run"].params}
    for _, field in all_fields(RunOptions):
        if field.name != "existing":  # three flags stand for it
            assert field.name in offered
            assert offered[field.name].help
