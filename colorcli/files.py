"""Atomic, durable writing: an output appears whole or not at all."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colorcli.errors import InputError, UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STDIO = Path("-")
"""Standard input or standard output, in the place of a file name."""
WRITER = "COLORCLI_WRITER"
"""Environment variable, for child processes: what partial files are named after if another machine might
write the same output."""
LOCK_SECONDS = 1.0
"""How long to wait for the lock of a run that was killed: a child process that it was starting at that moment
holds the lock until it executes its own program."""
LONGEST_NAME = 255
"""Bytes of the longest file name on common file systems."""


def partial_path(output: Path, writer: str | None = None) -> Path:
    """Where `output` is written until it is complete: beside it, with the suffix that encoders need.

    `writer` makes the name one process's own; by default it is what the environment says (`WRITER`).
    """
    own = f".{name}" if (name := os.environ.get(WRITER, "") if writer is None else writer) else ""
    partial = output.with_name(f".{output.stem}{own}.part{output.suffix}")
    if len(os.fsencode(partial.name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(output.stem + own)).hexdigest()[:32]
        partial = output.with_name(f".{digest}.part{output.suffix}")
    return partial


def check_writable(output: Path, flag: str) -> None:
    """Check before work starts that the file which `flag` names can be written at the end.

    Raises:
        UsageError: it is a folder, or its folder can neither be written to nor created.
    """
    if output.is_dir() or not _can_hold_files(output.absolute().parent):
        raise UsageError(output, "cannot be written", f"name a file in a writable folder for {flag}")


def check_folder(output: Path, flag: str) -> None:
    """Check before work starts that files can be written in the folder which `flag` names.

    Raises:
        UsageError: it is a file, or it can neither be written to nor created.
    """
    if not _can_hold_files(output.absolute()):
        cause = "is a file" if output.is_file() else "cannot be written to"
        raise UsageError(output, cause, f"name a writable folder for {flag}")


def _can_hold_files(folder: Path) -> bool:
    """Whether a folder can be written to, or created."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


@contextmanager
def atomic_write(output: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `output` if the block succeeds, and is removed otherwise.

    Raises:
        InputError: the folder cannot be created or written to, or another process is writing the same file.
    """
    partial = partial_path(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with locked(partial, output):
            try:
                yield partial
                publish(partial, output)
            except BaseException:
                _remove(partial)
                raise
    except OSError as error:
        raise InputError(
            output, f"cannot be written ({error.strerror or error})", "check the folder and the disk"
        ) from error


def publish(partial: Path, output: Path) -> None:
    """Give a finished file its name, durably: fsync the contents, rename, fsync the folder."""
    _sync(partial)
    partial.replace(output)
    with suppress(PermissionError):  # Windows opens no folders, and needs no such thing
        _sync(output.parent)


@contextmanager
def locked(path: Path, output: Path) -> Iterator[None]:
    """Lock `path`, where `output` is being made, against other processes.

    `path` is a folder, or a file, which is created if it does not exist. A killed process loses its lock.

    Raises:
        InputError: another process holds the lock.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        _lock(descriptor)
    except BlockingIOError as error:
        os.close(descriptor)
        remedy = "wait until it is finished, or choose another output"
        raise InputError(output, "another run is writing it", remedy) from error
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock a file; raises BlockingIOError if another process keeps the lock."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _remove(partial: Path) -> None:
    with suppress(OSError):  # the folder itself may be the problem
        partial.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
