"""Leases: several processes, on any machines that share the output folder, claim jobs one by one.

A lease is a file that is created exclusively, in `OUT/.colorcli/leases/`, and names the log of its owner. It
is stale once the owner's heartbeats have stopped for `LOST_AFTER`; the process that renames a stale lease
takes the job over. Two processes may do the same job if one of them was silent without being dead: that does
no harm, since partial files have names of their own and outputs appear whole. File locks are not used: on
network file systems they are unreliable.
"""

import hashlib
import json
import os
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from colorcli.files import partial_path
from colorcli.jobs.job import Job
from colorcli.jobs.state import LOST_AFTER, RunState

MOST_ATTEMPTS = 5
"""How often one run may start the same job."""


def attempt_names(writer: str) -> list[str]:
    """What the partial files of a job's attempts are named after: a run that repeats a job numbers them."""
    return [f"{writer}-{number}" if number else writer for number in range(MOST_ATTEMPTS)]


class Claim(Enum):
    """The result of an attempt to claim a job."""

    MINE = "mine"
    BUSY = "busy"
    """Another process is doing it."""
    FAILED = "failed"
    """Another process has found, since this one began, that it cannot be done."""


class Leases:
    """The leases of one process."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._began = state.now()
        self.writer = state.log.stem
        self._held: set[Path] = set()

    def claim(self, job: Job) -> Claim:
        """Try to get a job; if it was left by a dead process, remove what that process left behind."""
        lease = self._path(job)
        lease.parent.mkdir(parents=True, exist_ok=True)
        while not self._create(lease):
            try:
                with lease.open("rb") as file:
                    content, changed = _content(file.read()), os.fstat(file.fileno()).st_mtime
            except FileNotFoundError:
                continue  # released this very moment
            if content.get("failed"):
                if changed >= self._began:
                    return Claim.FAILED
            elif self._is_alive(content.get("owner"), changed):
                return Claim.BUSY
            self._steal(lease, job)
        self._held.add(lease)
        return Claim.MINE

    def release(self, job: Job, *, failed: bool) -> None:
        """Release a job that is done; one that failed stays marked, so that no other process tries it."""
        lease = self._path(job)
        if failed:
            replacement = lease.with_suffix(f".{self.writer}")
            replacement.write_text(json.dumps({"owner": self.writer, "failed": True}))
            replacement.replace(lease)
        else:
            lease.unlink(missing_ok=True)
        self._held.discard(lease)

    def release_all(self) -> None:
        """Release all jobs that are neither done nor failed."""
        while self._held:
            self._held.pop().unlink(missing_ok=True)

    def _path(self, job: Job) -> Path:
        name = hashlib.sha256(os.fsencode(self._state.name_of(job))).hexdigest()
        return self._state.folder / "leases" / name[:2] / name[2:34]

    def _create(self, lease: Path) -> bool:
        try:
            descriptor = os.open(lease, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        os.write(descriptor, json.dumps({"owner": self.writer}).encode())
        os.close(descriptor)
        return True

    def _is_alive(self, owner: str | None, changed: float) -> bool:
        """By the log that the owner touches; opened, since network file systems cache what stat says."""
        with suppress(OSError):
            if owner is not None:
                with (self._state.log.parent / f"{owner}.ndjson").open() as log:
                    changed = os.fstat(log.fileno()).st_mtime
        return self._state.now() - changed < LOST_AFTER

    def _steal(self, lease: Path, job: Job) -> None:
        """Remove a stale lease and the partial output of its owner; of several thieves one succeeds."""
        mine = lease.with_suffix(f".{self.writer}")
        with suppress(FileNotFoundError):
            lease.rename(mine)
            owner = _content(mine.read_bytes()).get("owner")
            for writer in attempt_names(owner) if owner else []:
                partial_path(job.output, writer).unlink(missing_ok=True)
            mine.unlink()


def _content(lease: bytes) -> dict[str, Any]:
    """What a lease says; nothing if it is being written, or was cut off by a crash or a full disk."""
    try:
        content = json.loads(lease)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
