"""Inputs and options that do not fit each other are refused before work starts."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from colorcli.errors import InputError, UsageError
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.naming import is_template
from colorcli.jobs.walk import kind_by_content, kind_by_suffix
from colorcli.options import RunOptions, VideoOptions
from colorcli.video.formats import is_frame_pattern

_FOR_ONE = {
    "hints": (None, "json", ", or place them beside each image as NAME.hints.json"),
    "shots": (Kind.VIDEO, "csv", ""),
    "contact_sheet": (Kind.VIDEO, "png", ""),
    "references": (Kind.VIDEO, "references", ""),
}
"""Options that are about one input: its kind (None for any), what a name for each may end in, and another
remedy."""


def check_use(inputs: list[Path], options: RunOptions, given: Collection[str]) -> None:
    """Check that the inputs, as far as their names say what they are, can use what the command line gives.

    Args:
        given: names of the options that the command line itself sets.

    Raises:
        UsageError: an option is for film only and no input is film; or for one input, and there are several.
    """
    kinds = [_kind(source) for source in inputs]
    if all(kind is Kind.IMAGE for kind in kinds):
        for name in (each.name for each in fields(VideoOptions)):
            if name in given:
                raise UsageError(_flag(name), "is for film, and no input is film", "leave it out")
    values = {**vars(options.color), **vars(options.video)}
    for name, (kind, ending, other) in _FOR_ONE.items():
        several = any(source != STDIO and source.is_dir() for source in inputs)
        several |= sum(kind is None or each in (kind, None) for each in kinds) > 1
        if values[name] is not None and several and not is_template(values[name]):
            remedy = f"give one for each, as '{{stem}}.{ending}'{other}"
            raise UsageError(_flag(name), "is for one input, and there are several", remedy)


def watch_use(jobs: Iterable[Job], given: Collection[str], report: Sink) -> Iterator[Job]:
    """The jobs; in the end a note about options for film where none was found."""
    film_only = [each.name for each in fields(VideoOptions) if each.name in given]
    is_without = True
    for job in jobs:
        is_without = is_without and job.kind is not Kind.VIDEO
        yield job
    for name in film_only if is_without else ():
        report(Note(_flag(name), "had no effect: there was no film to do"))


def check_film(source: Path) -> None:
    """Check that an existing input is a film, or stands for numbered frames.

    Raises:
        InputError: it is something else.
    """
    if not source.exists():  # a pattern, or it will be reported as missing
        return
    with suppress(OSError):  # opening it will say what is wrong
        if source.is_dir() or (kind_by_suffix(source) or kind_by_content(source)) is not Kind.VIDEO:
            remedy = "name a film, or numbered frames as frame_%06d.png"
            raise InputError(source, "is not a film", remedy)


def _flag(name: str) -> str:
    return "--no-stabilize" if name == "stabilize" else f"--{name.replace('_', '-')}"


def _kind(source: Path) -> Kind | None:
    """What an input is by its name; None if only its content says."""
    if source == STDIO or source.is_dir():
        return None
    return Kind.VIDEO if is_frame_pattern(source) and not source.exists() else kind_by_suffix(source)
