"""Outputs appear whole or not at all."""

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
LETTING_GO = 1.0
"""Seconds that a killed run may go on holding its output: a child that it was just starting shares its lock
until it has become the program that it was started as."""
LONGEST_NAME = 255
"""Bytes of a file name that common file systems take."""


def partial_path(output: Path) -> Path:
    """Where `output` is written until it is whole: beside it, its suffix kept for the encoders."""
    partial = output.with_name(f".{output.stem}.part{output.suffix}")
    if len(os.fsencode(partial.name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(output.stem)).hexdigest()[:32]
        partial = output.with_name(f".{digest}.part{output.suffix}")
    return partial


def check_writable(output: Path, flag: str) -> None:
    """See to it, before work starts, that the file which `flag` names can be written in the end.

    Raises:
        UsageError: it is a folder, or its own folder can be neither written nor made.
    """
    place = next(folder for folder in output.absolute().parents if folder.exists())
    if output.is_dir() or not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(output, "cannot be written", f"name a file in a folder of yours for {flag}")


@contextmanager
def atomic_write(output: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `output` when the block ends well, and is removed otherwise.

    Raises:
        InputError: the folder cannot be made or written, or another process is writing the same file.
    """
    partial = partial_path(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with claimed(partial, output):
            try:
                yield partial
                publish(partial, output)
            except BaseException:
                _remove(partial)
                raise
    except OSError as error:
        raise InputError(
            output, f"cannot be written ({error.strerror or error})", "check folder and disk"
        ) from error


def publish(partial: Path, output: Path) -> None:
    """Give a finished file its name, durably: contents first, then the name (fsync, rename, fsync)."""
    _sync(partial)
    partial.replace(output)
    _sync(output.parent)


@contextmanager
def claimed(place: Path, output: Path) -> Iterator[None]:
    """Keep other processes off `place`, where `output` is being made: a folder, or a file, made if need be.

    What a killed process has left behind is free again.

    Raises:
        InputError: another process is at it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(place, os.O_RDONLY if place.is_dir() else os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        _lock(descriptor)
    except BlockingIOError as error:
        os.close(descriptor)
        remedy = "wait until it is done, or choose another output"
        raise InputError(output, "another run is writing it", remedy) from error
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError where another process holds it for good."""
    deadline = time.monotonic() + LETTING_GO
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _remove(partial: Path) -> None:
    with suppress(OSError):  # the folder itself may be what is wrong
        partial.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
