"""Runs the command line: in this process where nothing depends on the process, else in one of its own."""

import faulthandler
import json
import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import IO, Any
from unittest.mock import patch

COMMAND = [sys.executable, "-m", "colorcli"]
SECONDS = 300


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


ENVIRONMENT = _environment()
"""Without what the test under way has set."""


def remember_environment() -> None:
    """To be called before each test; packages change the environment when they are imported."""
    ENVIRONMENT.clear()
    ENVIRONMENT.update(_environment())


def run_cli(
    *arguments: object, stdin: bytes | None = None, columns: int = 80, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end and capture the output.

    A process of its own spends most of a second on starting. It is started where data flows through a pipe,
    or where the test changes the environment or says in `options` what kind of process it needs.
    """
    words = [str(argument) for argument in arguments]
    own = stdin is not None or options or "-" in words or _environment() != ENVIRONMENT
    if not own and threading.current_thread() is threading.main_thread():
        return _run_here(words, columns)
    options.setdefault("env", {**os.environ, "COLUMNS": str(columns)})
    return subprocess.run(
        [*COMMAND, *words], input=stdin, capture_output=True, timeout=SECONDS, check=False, **options
    )


def run_text(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The same, with the output as text."""
    done = run_cli(*arguments, **options)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def _run_here(words: list[str], columns: int) -> subprocess.CompletedProcess[bytes]:
    """Run in this process as `python -m colorcli` does, without what earlier runs have cached."""
    from colorcli.cli.app import main

    _forget()
    with TemporaryFile() as out, TemporaryFile() as err:
        with (
            _streams(out, err),
            _as_main_module("colorcli.__main__"),
            patch.object(sys, "argv", ["colorcli", *words]),
            patch.dict(os.environ, COLUMNS=str(columns)),
        ):
            code = _exit_code(main)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def _exit_code(main: Any) -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _forget() -> None:
    """Empty the caches of colorcli: a test may have written the same file again.

    A plugin stays registered, which ONNX Runtime allows once in a process.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "colorcli" and name != "colorcli.engines.plugins":
            for value in list(vars(module).values()):
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()


@contextmanager
def _streams(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """Let files stand for standard output and error, also for child processes; input is empty."""
    python, kept = (sys.stdin, sys.stdout, sys.stderr), [os.dup(number) for number in range(3)]
    with Path(os.devnull).open("rb") as nothing:
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=kept[2])
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = python
        for number, own in enumerate(kept):
            os.dup2(own, number)
            os.close(own)


@contextmanager
def _as_main_module(name: str) -> Iterator[None]:
    """Have worker processes take this for the program that started them, and not pytest."""
    before, module = sys.modules["__main__"], ModuleType("__main__")
    module.__spec__ = ModuleSpec(name, None)
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        sys.modules["__main__"] = before


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


def data_of(page: str) -> dict[str, Any]:
    """The data in a page of `--report`."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]
