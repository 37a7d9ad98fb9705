"""What a run into a folder leaves there: `OUT/.colorcli/`, shared by all runs and machines that write to OUT.

    identity/NAME.json    model, options and version of outputs in OUT
    log/HOST-PID-TIME.ndjson    every result of one process, appended; the first line says what the run was

Outputs are the truth; this is what people and later runs can know about them. A process touches its log as
long as it lives, so that others can tell that it does. On an object store both are copied there whole: the
identity before the first output, the log at the end.
"""

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from colorcli.errors import InputError, RefusedError
from colorcli.events import Done, Failed, Summary, json_text
from colorcli.files import STDIO
from colorcli.jobs.identity import differences, name_of
from colorcli.jobs.job import Job
from colorcli.jobs.shard import Shard
from colorcli.jobs.storage import fetch, is_folder, publish, url_of

FOLDER = ".colorcli"
HEARTBEAT = 10.0
"""Seconds between two heartbeats of a process, which touch its log."""
LOST_AFTER = 3 * HEARTBEAT
"""Seconds without a heartbeat after which a process counts as dead."""


class RunState:
    """The state of one run in its output folder. A context manager; writes nothing before the first job."""

    def __init__(self, output: Path, identity: dict[str, Any], shard: Shard) -> None:
        self.output = output
        self.folder = output / FOLDER
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        if url_of(output):
            self._copy = tempfile.TemporaryDirectory(prefix="colorcli-")
            self.folder = Path(self._copy.name) / FOLDER
            if is_folder(output / FOLDER / "identity"):
                fetch(output / FOLDER / "identity", self.folder / "identity")
        stamp = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns() // 1_000_000:x}"
        self.log = self.folder / "log" / f"{stamp}.ndjson"
        self._identity, self._shard = identity, shard
        self._has_outputs = False
        self._descriptor: int | None = None
        self._ended = threading.Event()

    def check(self) -> None:
        """Check that all outputs in the folder were made with this model and these options.

        Raises:
            RefusedError: some were not.
            InputError: what was noted about them is damaged.
        """
        for path in sorted((self.folder / "identity").glob("*.json")):
            try:
                known = dict(json.loads(path.read_text()))
            except (OSError, ValueError, TypeError) as error:
                raise InputError(path, "damaged", "delete it, or choose another folder") from error
            changed = differences(self._identity, known)
            if changed:
                names = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
                cause = f"has outputs that were made with another {names}"
                remedy = "run as before, choose another folder, or keep them with --force-resume"
                raise RefusedError(self.output, cause, remedy)

    def _publish(self, path: Path) -> None:
        """Copy a part of the state to where the output is, if that is elsewhere."""
        if self._copy is not None:
            publish(path, self.output / FOLDER / path.relative_to(self.folder))

    def begin_outputs(self) -> None:
        """Note that outputs with this identity may follow.

        Raises:
            InputError: the folder cannot be written.
        """
        if not self._has_outputs:
            path = self.folder / "identity" / f"{name_of(self._identity)}.json"
            with self._writing():
                _write_once(path, json.dumps(self._identity, indent=1))
            self._publish(path)
            self._has_outputs = True

    def _begin_log(self) -> None:
        if self._descriptor is not None:
            return
        with self._writing():
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        run = {
            "event": "run", "host": socket.gethostname(), "pid": os.getpid(), "started": time.time(),
            "identity": name_of(self._identity), "shard": str(self._shard),
        }  # fmt: skip
        self._append(run)
        threading.Thread(target=self._beat, daemon=True).start()

    def name_of(self, job: Job) -> str:
        """How all machines call a job: its output below the folder, with slashes."""
        if job.output == STDIO or not job.output.is_relative_to(self.output):
            return str(job.output)
        return job.output.relative_to(self.output).as_posix()

    def add(self, job: Job, event: Done | Failed) -> None:
        """Log the result of a job."""
        self._begin_log()
        self._append({"name": self.name_of(job), **asdict(event)})

    def end(self, summary: Summary) -> None:
        """Log that the run is over."""
        if self._descriptor is not None:
            self._append(asdict(summary))

    def now(self) -> float:
        """The time on the clock of the file system, which all machines share."""
        self._begin_log()
        os.utime(self.log)
        return self.log.stat().st_mtime

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._publish(self.log)
        if self._copy is not None:
            self._copy.cleanup()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cause = f"cannot be written ({error.strerror})"
            raise InputError(self.folder, cause, "check the folder and the disk") from error

    def _append(self, fields: dict[str, Any]) -> None:
        assert self._descriptor is not None
        with self._writing():
            os.write(self._descriptor, (json_text(fields) + "\n").encode())

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            try:
                os.utime(self.log)
            except OSError:  # a short outage of the network
                continue


def _write_once(path: Path, text: str) -> None:
    """Write a small file whole, unless it exists; several processes may do so at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}")
        partial.write_text(text)
        partial.replace(path)
