"""Inputs to outputs, before any work starts: what is done, where it goes, and what cannot be done."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from colorcli.core.errors import ColorcliError, InputError, RefusedError, UsageError
from colorcli.events import Note, Sink
from colorcli.formats import FILM_SUFFIXES, HEAD, SUFFIXES, sniff
from colorcli.options import Existing, RunOptions

STREAM = Path("-")
"""Standard input or output."""
PATTERN = re.compile(r"%0?\d*d")
"""A printf pattern for a frame's number in a file name."""


class Kind(StrEnum):
    STILL = "still"
    FILM = "film"
    SEQUENCE = "sequence"


@dataclass(frozen=True)
class Job:
    source: Path
    output: Path
    kind: Kind
    problem: ColorcliError | None = None
    """Why it cannot be done, known beforehand."""
    skip: bool = False
    """Its output is there and is to stay."""


def make_plan(inputs: list[Path], output: Path, options: RunOptions, report: Sink) -> list[Job]:
    """One job for every picture and film that the inputs name or hold, in a stable order.

    A folder is mirrored into `output`; links inside it are not followed, and files that are neither picture
    nor film are left out with a note. What is wrong with one input becomes that job's `problem`.

    Raises:
        UsageError: the inputs and the output do not go together: collisions, output inside an input, ...
    """
    if output == STREAM:
        _check_stream(inputs)
    into_folder = output != STREAM and _is_folder(inputs, output)
    jobs: list[Job] = []
    for source in inputs:
        if source != STREAM and source.is_dir():
            _check_outside(source, output)
            jobs += _folder_jobs(source, output, report)
        else:
            target = output / (source.name if source != STREAM else "stdin") if into_folder else output
            jobs.append(_job(source, target))
    jobs = list(dict.fromkeys(jobs))  # named twice is done once
    _check_collisions(jobs)
    return [_settled(job, options) for job in jobs]


def stream_kind(head: bytes) -> Kind:
    """Whether a stream that begins with `head` is a still or a film."""
    return Kind.STILL if sniff(head) else Kind.FILM


def _check_stream(inputs: list[Path]) -> None:
    if len(inputs) != 1 or inputs[0].is_dir():
        raise UsageError(
            "-o -", "standard output takes one picture or film", "name one input, or a folder for OUT"
        )


def _is_folder(inputs: list[Path], output: Path) -> bool:
    """Whether OUT is a folder: it is one, or several inputs or a folder go there, or it has no suffix."""
    several = len(inputs) > 1 or any(source != STREAM and source.is_dir() for source in inputs)
    if several and output.exists() and not output.is_dir():
        raise UsageError(output, "is a file, but several inputs go there", "name a folder for OUT")
    return several or output.is_dir() or not output.suffix


def _check_outside(folder: Path, output: Path) -> None:
    if output.resolve().is_relative_to(folder.resolve()):
        raise UsageError(output, f"lies inside the input {folder}", "choose an output folder elsewhere")


def _folder_jobs(folder: Path, output: Path, report: Sink) -> Iterator[Job]:
    """Everything below a folder, sorted by name, folder by folder."""
    denied: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=denied.append):
        here = Path(where)
        for name in [name for name in folders if (here / name).is_symlink()]:
            report(Note(str(here / name), "a symbolic link, not followed"))
        folders[:] = sorted(name for name in folders if not (here / name).is_symlink())
        for name in sorted(names):
            source = here / name
            kind = _kind_by_suffix(source)
            if source.is_symlink():
                report(Note(str(source), "a symbolic link, not followed"))
            elif kind is None:
                report(Note(str(source), "neither picture nor film, left out"))
            else:
                yield Job(source, output / source.relative_to(folder), kind)
    for error in denied:
        place = Path(error.filename or folder)
        problem = InputError(place, f"the folder cannot be read ({error.strerror})", "check its rights")
        yield Job(place, output / place.relative_to(folder), Kind.STILL, problem)


def _job(source: Path, output: Path) -> Job:
    """The job for an input that was named itself."""
    if source == STREAM:
        from colorcli.stdin import peek

        head = peek()
        problem = None if head else InputError("-", "nothing came in on standard input", "check the pipe")
        return Job(source, output, stream_kind(head), problem)
    if PATTERN.search(source.name) and not source.exists():  # "100%done.png" may be a file
        return Job(source, output, Kind.SEQUENCE)
    try:
        kind = _kind_by_suffix(source) or _kind_by_content(source)
    except OSError as error:
        problem = InputError(source, f"cannot be read ({error.strerror})", "check the name and its rights")
        return Job(source, output, Kind.STILL, problem)
    if not source.exists():
        problem = InputError(source, "no such file", "check the name")
        return Job(source, output, kind or Kind.STILL, problem)
    if kind is None:
        return Job(
            source, output, Kind.STILL, InputError(source, "neither picture nor film", "check what it is")
        )
    return Job(source, output, kind)


def _kind_by_suffix(source: Path) -> Kind | None:
    suffix = source.suffix.lower()
    return Kind.STILL if suffix in SUFFIXES else Kind.FILM if suffix in FILM_SUFFIXES else None


def _kind_by_content(source: Path) -> Kind | None:
    """For a name that says nothing: a still by its first bytes; a film only its suffix can announce."""
    with source.open("rb") as file:
        return Kind.STILL if sniff(file.read(HEAD)) else None


def _check_collisions(jobs: list[Job]) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.output != STREAM and job.problem is None:
            other = taken.setdefault(job.output, job.source)
            if other != job.source:
                cause = f"both {other} and {job.source} would be written there"
                raise UsageError(job.output, cause, "do them apart, or rename one")


def _settled(job: Job, options: RunOptions) -> Job:
    """The job with what stands in its way, if anything does."""
    if job.problem or job.output == STREAM:
        return job
    if _same_file(job.source, job.output):
        return replace(
            job, problem=UsageError(job.source, "the output is the input itself", "choose another output")
        )
    if job.output.is_dir():
        return replace(
            job, problem=UsageError(job.output, "is a folder", "name a file, or remove the folder")
        )
    if job.output.exists():
        match options.existing:
            case Existing.REFUSE:
                remedy = "choose --overwrite, --skip-existing or --resume"
                return replace(job, problem=RefusedError(job.output, "the output exists already", remedy))
            case Existing.SKIP | Existing.RESUME:
                return replace(job, skip=True)
    return _checked_film(job, options) if job.kind is not Kind.STILL else job


def _same_file(source: Path, output: Path) -> bool:
    return source != STREAM and source.exists() and output.exists() and output.samefile(source)


def _checked_film(job: Job, options: RunOptions) -> Job:
    from colorcli.film import check_film

    try:
        check_film(job, options)
    except ColorcliError as error:
        return replace(job, problem=error)
    return job
