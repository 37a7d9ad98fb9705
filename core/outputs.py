"""Outputs appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colorcli.core.errors import InputError


def partial_path(output: Path) -> Path:
    """Where `output` is written until it is whole: beside it, its suffix kept for the encoders."""
    return output.with_name(f".{output.stem}.part{output.suffix}")


@contextmanager
def whole_file(output: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `output` when the block ends well, and is removed otherwise.

    Raises:
        InputError: the folder cannot be made or written.
    """
    partial = partial_path(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        publish(partial, output)
    except OSError as error:
        _remove(partial)
        raise InputError(
            output, f"cannot be written ({error.strerror or error})", "check folder and disk"
        ) from error
    except BaseException:
        _remove(partial)
        raise


def publish(partial: Path, output: Path) -> None:
    """Give a finished file its name, durably: contents first, then the name (fsync, rename, fsync)."""
    _sync(partial)
    partial.replace(output)
    _sync(output.parent)


def _remove(partial: Path) -> None:
    with suppress(OSError):  # the folder itself may be what is wrong
        partial.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
