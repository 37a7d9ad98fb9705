"""Standard input and output: peeking at the first bytes, and files in their place."""

import errno
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorcli.errors import InputError, UsageError
from colorcli.files import STDIO
from colorcli.images.codecs.registry import HEAD, suffix_of
from colorcli.jobs.job import Job

STDIN = 0


@contextmanager
def as_files(job: Job, stream_format: str | None) -> Iterator[tuple[Path, Path]]:
    """Source and output of an image job as files, since decoders seek and outputs have to appear whole.

    In the place of standard input and output these are temporary files; the output is copied to standard
    output when the block ends well. `stream_format` is the format to write there, by default the input's own.

    Raises:
        UsageError: standard output is a terminal.
        InputError: standard output cannot be written.
        BrokenPipeError: the reader of standard output has closed it.
    """
    if STDIO not in (job.source, job.output):
        yield job.source, job.output
        return
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        source, output = job.source, job.output
        if source == STDIO:
            source = Path(folder) / "stdin"
            with source.open("wb") as file, open(STDIN, "rb", closefd=False) as stdin:
                shutil.copyfileobj(stdin, file)
        if output == STDIO:
            if sys.stdout.isatty():
                raise UsageError("-o -", "a terminal cannot show images", "send it to a file or a pipe")
            output = Path(folder) / f"stdout{_suffix(source, stream_format)}"
        yield source, output
        if job.output == STDIO:
            _copy_to_stdout(output)


def _copy_to_stdout(output: Path) -> None:
    try:
        with output.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        cause = f"cannot be written ({error.strerror})"
        raise InputError("standard output", cause, "check where it goes") from error


def _suffix(source: Path, stream_format: str | None) -> str:
    if stream_format:
        return "." + stream_format.lower().lstrip(".")
    with source.open("rb") as file:
        return suffix_of(file.read(HEAD))


def peek() -> bytes:
    """The first bytes of standard input; a later reader of file descriptor 0 still gets them all.

    Raises:
        OSError: it is closed, or cannot be read.
    """
    if sys.stdin is None:  # then descriptor 0 is free to become any other file
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    head = b""
    while len(head) < HEAD and (more := os.read(STDIN, HEAD - len(head))):
        head += more
    try:
        os.lseek(STDIN, -len(head), os.SEEK_CUR)
    except OSError:  # a pipe
        _unread(head)
    return head


def _unread(head: bytes) -> None:
    """Replace standard input by a pipe that carries `head` and then the rest."""
    rest = os.dup(STDIN)
    reader, writer = os.pipe()
    os.dup2(reader, STDIN)
    os.close(reader)

    def pump() -> None:
        with open(rest, "rb", buffering=0) as source, open(writer, "wb", buffering=0) as target:  # noqa: PTH123
            try:
                target.write(head)
                while block := source.read(1 << 16):
                    _write_all(target.fileno(), block)
            except BrokenPipeError:
                pass  # the reader has closed the pipe

    threading.Thread(target=pump, daemon=True).start()


def _write_all(descriptor: int, block: bytes) -> None:
    while block:
        block = block[os.write(descriptor, block) :]
