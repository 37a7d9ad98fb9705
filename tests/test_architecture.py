"""The import graph of the whole tree, lazy imports counted: one way, without circles; and its size limits."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    {"errors", "_version", "progress"},
    {"files", "signals"},
    {"options"},
    {"events"},
    {"color"},
    {"networks"},
    {"engines"},
    {"models"},
    {"colorizer"},
    {"images", "video", "evaluation"},
    {"engines.builders", "jobs", "train"},
    {"api", "cli"},
    {"colorcli", "__main__"},
)
"""Rooms from the ground up: a module uses its own room and rooms on the floors below."""
LONGEST_FUNCTION, LONGEST_MODULE = 60, 420


def sources() -> list[Path]:
    return [
        path
        for room in ("colorcli", "engines", "train")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.relative_to(ROOT).parts[:2] not in (("colorcli", "engines"), ("colorcli", "train"))
    ]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "colorcli" else ("colorcli", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources()}


def imports(module: str) -> set[str]:
    """The modules of the tree that a module imports, at its top or later."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in MODULES} - {module}


def room_of(module: str) -> str:
    if module == "colorcli":
        return module
    inner = module.removeprefix("colorcli.")
    return "engines.builders" if inner.startswith("engines.builders") else inner.partition(".")[0]


def floor_of(room: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def test_no_circle() -> None:
    try:
        TopologicalSorter({module: imports(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    room = room_of(module)
    for imported in imports(module):
        other = room_of(imported)
        assert other == room or floor_of(other) < floor_of(room), f"{module} imports {imported}"


def test_only_the_command_line_imports_train() -> None:
    users = {room_of(module) for module in MODULES for name in imports(module) if room_of(name) == "train"}
    assert users <= {"train", "cli"}


def test_help_and_the_parent_of_workers_load_nothing_heavy() -> None:
    code = """
import sys
import colorcli
import colorcli.cli.app, colorcli.cli.console, colorcli.cli.report, colorcli.jobs.run
heavy = {"torch", "onnxruntime", "cv2", "av", "PIL", "tifffile", "numpy"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_functions_fit_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": lines
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long


def test_modules_have_one_subject() -> None:
    tests = list((ROOT / "tests").rglob("*.py"))
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*MODULES.values(), *tests]
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }
    assert not long


def test_every_package_is_installed() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {module_of(path) for path in MODULES.values() if path.name == "__init__.py"}
    assert set(listed) == packages
