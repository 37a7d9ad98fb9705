"""Runs the command line in processes of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "colorcli"]


def run_cli(
    *arguments: object, stdin: bytes | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end and capture the output."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=300, check=False, **options)


def started(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """Start without waiting; unbuffered, so that `communicate` returns what `readline` has left."""
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, bufsize=0, **options)


def events(output: bytes) -> list[dict[str, Any]]:
    """The events that `--json` has written."""
    return [json.loads(line) for line in output.decode().splitlines()]


def leftovers(folder: Path) -> list[Path]:
    """Partial files and state of unfinished work, which are neither outputs nor the log of a run."""
    found = [path for path in folder.rglob("*") if ".part" in path.name or path.name.startswith(".")]
    return [path for path in found if path.name != ".colorcli"]
