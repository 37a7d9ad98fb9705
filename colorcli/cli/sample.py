"""`colorcli run --sample`: pieces of a film, and an estimate of how long the whole will take."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from colorcli.errors import InputError, UsageError
from colorcli.events import Done, Event, Note, Sink
from colorcli.files import STDIO
from colorcli.options import RunOptions
from colorcli.video.formats import is_frame_pattern

BY_FRAME = ("hints", "start", "end", "shots", "references")
"""Options that name frames or times of the whole film."""


@contextmanager
def sampled(
    sources: list[str], seconds: str | None, options: RunOptions, sink: Sink
) -> Iterator[tuple[list[str], Sink]]:
    """The sources of a run, or a sample of the one film; with a sink that adds an estimate for the whole.

    Raises:
        UsageError: there is no sample of these sources.
        InputError: there is no such film, or it cannot be read.
    """
    if seconds is None:
        yield sources, sink
        return
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)s?", seconds)) or not float(found[1]):
        raise UsageError(f"--sample {seconds}", "is not a number of seconds", "write 60s")
    films = [Path(source) for source in sources]
    if len(films) != 1 or films[0] == STDIO or films[0].is_dir() or is_frame_pattern(films[0]):
        raise UsageError("--sample", "takes one film", "name one file")
    (film,) = films
    if not film.exists():
        raise InputError(film, "no such file", "check the name")
    values = {**vars(options.color), **vars(options.video)}
    for name in BY_FRAME:
        if values[name] is not None:
            cause = "counts frames of the whole film, and --sample takes pieces of it"
            raise UsageError(f"--{name}", cause, "leave one of them out")
    from colorcli.cli.console import counted, duration
    from colorcli.video.sample import take_sample

    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        piece = Path(folder) / f"{film.stem}.mkv"
        sample = take_sample(film, float(found[1]), piece)

        def watch(event: Event) -> None:
            shown: Any = event
            if getattr(event, "input", None) == str(piece):
                shown = replace(shown, input=str(film))
            sink(shown)
            if isinstance(event, Done):
                took, size = event.seconds / sample.share, Path(event.output).stat().st_size / sample.share
                message = f"the whole takes about {duration(took)} and {_size(size)} without its sound"
                sink(
                    Note(
                        str(film), f"{counted(sample.pieces, 'piece')}, {100 * sample.share:.2g} %: {message}"
                    )
                )

        yield [str(piece)], watch


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
