"""Files in the place of standard input and output: decoders want to go back, and outputs to appear whole."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorcli.errors import UsageError
from colorcli.images.codecs.registry import HEAD, suffix_of
from colorcli.jobs.plan import STREAM, Job

Places = dict[Job, tuple[Path, Path]]
"""Source and output, as files, of the jobs that use standard input or output."""


@contextmanager
def spooled(jobs: list[Job], stream_format: str | None) -> Iterator[Places]:
    """Stand-ins for the jobs that need them; `stream_format` is that of standard output, or the input's own.

    Raises:
        UsageError: standard output is a terminal.
    """
    streaming = [job for job in jobs if STREAM in (job.source, job.output)]
    if not streaming:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        places: Places = {}
        for job in streaming:
            source, output = job.source, job.output
            if source == STREAM:
                source = Path(folder) / "stdin"
                with source.open("wb") as file, open(0, "rb", closefd=False) as stdin:
                    shutil.copyfileobj(stdin, file)
            if output == STREAM:
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
