"""Files in the place of standard input and output: decoders want to go back, and outputs to appear whole."""

import errno
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorcli.errors import UsageError
from colorcli.files import STDIO
from colorcli.images.codecs.registry import HEAD, suffix_of
from colorcli.jobs.job import Job

STDIN = 0

Places = dict[Job, tuple[Path, Path]]
"""Source and output, as files, of the jobs that use standard input or output."""


@contextmanager
def spooled(jobs: list[Job], stream_format: str | None) -> Iterator[Places]:
    """Stand-ins for the jobs that need them; `stream_format` is that of standard output, or the input's own.

    Raises:
        UsageError: standard output is a terminal.
    """
    streaming = [job for job in jobs if STDIO in (job.source, job.output)]
    if not streaming:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        places: Places = {}
        for job in streaming:
            source, output = job.source, job.output
            if source == STDIO:
                source = Path(folder) / "stdin"
                with source.open("wb") as file, open(0, "rb", closefd=False) as stdin:
                    shutil.copyfileobj(stdin, file)
            if output == STDIO:
                if sys.stdout.isatty():
                    remedy = "send it to a file or a pipe"
                    raise UsageError("-o -", "a picture is no use on a terminal", remedy)
                output = Path(folder) / f"stdout{_suffix(source, stream_format)}"
            places[job] = source, output
        yield places


def to_stdout(output: Path) -> None:
    with output.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _suffix(source: Path, stream_format: str | None) -> str:
    if stream_format:
        return "." + stream_format.lower().lstrip(".")
    with source.open("rb") as file:
        return suffix_of(file.read(HEAD))


def peek() -> bytes:
    """The first bytes of standard input; whoever reads file descriptor 0 afterwards still gets them all.

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
        _give_back(head)
    return head


def _give_back(head: bytes) -> None:
    """Put a pipe in the place of standard input that begins with `head` and goes on with the rest."""
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
                pass  # the reader has had enough

    threading.Thread(target=pump, daemon=True).start()


def _write_all(descriptor: int, block: bytes) -> None:
    while block:
        block = block[os.write(descriptor, block) :]
