"""What is installed with the package, and what the Dockerfile builds from; `.ci/install` runs its steps."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.cli import run_cli

ROOT = Path(__file__).parents[1]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
"""With the installed command."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def copied() -> set[str]:
    """What the first stage of the Dockerfile copies."""
    lines = re.findall(r"^COPY ([^-].*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return {name for line in lines for name in line.split()[:-1]}


def test_the_image_is_built_from_all_that_the_package_needs() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    folders = {name.partition(".")[0] for name in setuptools["packages"]} | {"engines", "train"}
    files = {name for several in setuptools["data-files"].values() for name in several}
    texts = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    for name in folders | files | texts:
        assert (ROOT / name).exists()
        assert any(name == part or name.startswith(f"{part}/") for part in copied()), name


def test_the_build_sees_what_it_copies() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied():
        assert f"!{name.partition('/')[0]}" in allowed


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", "colorcli"), ("zsh", "_colorcli"), ("fish", "colorcli.fish")]
)
def test_completions_are_the_commands_own(shell: str, file: str) -> None:
    shown = run_cli("--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert shown.returncode == 0, shown.stderr
    script = (ROOT / "completions" / file).read_text()
    assert "_COLORCLI_COMPLETE" in script
    assert script.strip() == shown.stdout.decode().strip()


TYPED = "colorcli run --audio "
IN_BASH = """source "$0"; COMP_WORDS=(colorcli run --audio ""); COMP_CWORD=3
_colorcli_completion colorcli; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (["bash", "-c", IN_BASH, str(ROOT / "completions/colorcli")], {}),
        (["colorcli"], {"_COLORCLI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": TYPED}),
        (
            ["colorcli"],
            {
                "_COLORCLI_COMPLETE": "complete_fish",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
                "_TYPER_COMPLETE_ARGS": TYPED,
            },
        ),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_a_shell_completes_the_values_of_an_option(command: list[str], variables: dict[str, str]) -> None:
    if not shutil.which(command[0], path=PATH):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PATH": PATH, **variables}, check=False
    )
    assert re.findall(r"\w+", done.stdout.replace("_arguments", "")) == ["copy", "aac", "opus", "none"]


def test_doctor_reports_every_extra() -> None:
    from colorcli.cli.doctor import EXTRAS
    from colorcli.engines.plugins import PLUGINS
    from colorcli.engines.registry import BACKENDS

    engines = {backend.extra for backend in BACKENDS.values() if backend.extra}
    extras = PROJECT["project"]["optional-dependencies"].keys() - {"dev"}
    assert EXTRAS.keys() | engines | PLUGINS.keys() == extras
