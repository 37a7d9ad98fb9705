"""The arrows of the house: who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {}
"""Room -> rooms it may use; `engines` needs `train` for the networks alone."""


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "colorcli":
                rooms.add(rest.partition(".")[0] or "colorcli")
    return rooms


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_point_one_way(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        assert imported_rooms(path) <= MAY_IMPORT[room], path


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from colorcli.cli.app import app
heavy = {"torch", "onnxruntime", "cv2", "av", "PIL", "tifffile"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_module_is_a_novel() -> None:
    sources = [path for room in ("colorcli", *MAY_IMPORT, "tests") for path in (ROOT / room).rglob("*.py")]
    long = {str(path): lines for path in sources if (lines := len(path.read_text().splitlines())) > 420}
    assert not long
