"""What all runs into a folder have done so far, from their logs in `OUT/.colorcli/log/`."""

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colorcli.errors import UsageError
from colorcli.events import Done, Failed
from colorcli.jobs.state import FOLDER, LOST_AFTER
from colorcli.jobs.storage import fetch, is_folder, url_of

KINDS = ("colorized", "copied", "skipped", "failed")


@dataclass
class Process:
    """One process that wrote into the folder."""

    host: str
    pid: int
    shard: str
    """K/N; 1/1 if it did not do a part only."""
    started: float
    """Seconds since the epoch, by its own clock."""
    seen: float
    """Its last heartbeat, by the file system's clock."""
    state: str = "running"
    """`running`, `done`, `interrupted`, or `lost`: no heartbeat, and no end."""
    results: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    """How many of each of `KINDS`."""


class History:
    """The logs of a folder."""

    def __init__(self, output: Path) -> None:
        self._output = output
        folder = output / FOLDER / "log"
        if url_of(output):
            self._copy = tempfile.TemporaryDirectory(prefix="colorcli-")
            folder = Path(self._copy.name) / "log"
            if is_folder(output / FOLDER / "log"):
                fetch(output / FOLDER / "log", folder)
        self._logs = sorted(folder.glob("*.ndjson"))

    def processes(self) -> list[Process]:
        """The processes, at least one, in the order in which they began.

        Raises:
            UsageError: no run has written there.
        """
        found = [process for log in self._logs if (process := _process(log))]
        if not found:
            remedy = "name the folder that was given with -o"
            raise UsageError(self._output, "holds no log of a run", remedy)
        return sorted(found, key=lambda process: process.started)

    def results(self) -> Iterator[Done | Failed]:
        """The last result of each output, in the order of their names; `skipped` changes no other result.

        Results are sorted in a temporary database, so that there may be millions.
        """
        with closing(sqlite3.connect("")) as database:
            database.execute("CREATE TABLE results (name TEXT PRIMARY KEY, fields TEXT) WITHOUT ROWID")
            # Logs are taken in the order in which they ended: a later run corrects an earlier one.
            for log in sorted(self._logs, key=lambda path: path.stat().st_mtime):
                for fields in _lines(log):
                    if "name" in fields:
                        keep = "IGNORE" if fields.get("action") == "skipped" else "REPLACE"
                        row = (fields.pop("name"), json.dumps(fields))
                        database.execute(f"INSERT OR {keep} INTO results VALUES (?, ?)", row)
            for (text,) in database.execute("SELECT fields FROM results ORDER BY name"):
                fields = json.loads(text)
                yield Failed(**fields) if fields["event"] == "failed" else Done(**fields)


def missing_shards(processes: list[Process]) -> list[str]:
    """The shards, of those numbers of which any was begun last, that no process has done to the end."""
    count = int(processes[-1].shard.partition("/")[2])
    done = {process.shard for process in processes if process.state == "done"}
    return [] if "1/1" in done else [name for k in range(count) if (name := f"{k + 1}/{count}") not in done]


def _process(log: Path) -> Process | None:
    """The process that a log is of; None if its first line is damaged."""
    lines = _lines(log)
    run = next(lines, {})
    if not {"host", "pid", "shard", "started"} <= run.keys():
        return None
    seen = log.stat().st_mtime
    process = Process(run["host"], run["pid"], run["shard"], run["started"], seen)
    if time.time() - seen > LOST_AFTER:
        process.state = "lost"
    for fields in lines:
        if fields["event"] == "summary":
            process.state = "interrupted" if fields["exit_code"] > 128 else "done"
        else:
            process.results[fields.get("action", "failed")] += 1
    return process


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, without lines that a dying machine left damaged."""
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                fields = json.loads(line)
                if isinstance(fields, dict) and "event" in fields:
                    yield fields
