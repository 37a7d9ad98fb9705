"""From inputs to jobs, before any work starts: what goes where, and what cannot be done."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from colorcli.errors import ColorcliError, InputError, RefusedError, UsageError, bug
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.images.codecs.registry import SUFFIXES, output_format, sniff, suffix_of
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.naming import (
    EVERYTHING,
    OWN_NAMES,
    Naming,
    Selection,
    check_template,
    format_suffix,
    sidecars,
    split_template,
)
from colorcli.jobs.per_file import options_for
from colorcli.jobs.shard import Shard
from colorcli.jobs.storage import exists, is_folder, refresh, url_of
from colorcli.jobs.walk import (
    APPLE_DOUBLE,
    NONE_SELECTED,
    WHOLE,
    collision,
    is_apple_double,
    kind_by_content,
    kind_by_suffix,
    walk,
    with_film_suffix,
)
from colorcli.options import Existing, RunOptions
from colorcli.video.formats import VIDEO_SUFFIXES, is_frame_pattern

STDIN_VIDEO_SUFFIX = ".mkv"
"""Suffix of a film that comes from standard input and goes into a folder."""


@dataclass(frozen=True)
class Plan:
    """The jobs of a run, in a stable order; every iteration searches for them again."""

    find: Callable[[], Iterable[Job]]
    count: int | None
    """How many there are, None if only the search will show."""
    folder: Path | None
    """The output, if it is a folder."""

    def __iter__(self) -> Iterator[Job]:
        return iter(self.find())


def make_plan(
    inputs: list[Path],
    output: Path,
    options: RunOptions,
    report: Sink,
    *,
    into_folder: bool = False,
    shard: Shard = WHOLE,
    selection: Selection = EVERYTHING,
) -> Plan:
    """One job for every image and film that the inputs name or contain, in a stable order.

    A folder is mirrored into `output`, which may end in a template (`naming.FIELD`). The jobs of an only
    folder are found while they are done. What is wrong with one input becomes the `problem` of its job.
    `report` receives a `Note` for what is left out.

    Args:
        into_folder: `output` is a folder, even if it does not exist yet and looks like a file name.
        shard: the part of the jobs that is wanted.
        selection: which files are wanted at all.

    Raises:
        UsageError: the inputs and the output do not go together: collisions, output inside an input, ...
    """
    refresh()
    if output == STDIO:
        _check_stdout(inputs)
    check_template(output)
    output, template = split_template(output)
    into_folder = output != STDIO and (into_folder or bool(template) or _is_folder(inputs, output))
    naming = _naming(output, template, options, into_folder=into_folder)
    for folder in inputs:
        if folder != STDIO and is_folder(folder):
            _check_outside(folder, output)
    if len(inputs) == 1 and inputs[0] != STDIO and is_folder(inputs[0]) and _keeps_folders(template):
        found = partial(walk, inputs[0], output, report, shard, naming, selection)
        return Plan(lambda: (_checked(job, options) for job in found()), None, output)
    named = _named_jobs(inputs, output, options, report, naming if into_folder else None)
    jobs = list(dict.fromkeys(named))  # an input that is named twice is one job
    jobs = [job for job in jobs if selection.has(Path(job.key))]
    if not jobs:
        report(Note(str(output), NONE_SELECTED))
    _check_collisions(jobs)
    jobs = [job for job in jobs if shard.has(job.key)]
    return Plan(lambda: (_checked(job, options) for job in jobs), len(jobs), output if into_folder else None)


def _keeps_folders(template: str) -> bool:
    """Whether only files of one folder can have the same output, which `walk` finds."""
    return not template or "{parent}/" in template


def _naming(output: Path, template: str, options: RunOptions, *, into_folder: bool) -> Naming:
    """How outputs in a folder are called.

    Raises:
        UsageError: --format is unknown, or contradicts the name of the output.
    """
    asked = options.format
    suffix = "" if output == STDIO else format_suffix(asked)
    own = output.suffix.lower()
    if suffix and not into_folder and SUFFIXES.get(suffix, suffix) != SUFFIXES.get(own, own):
        raise UsageError(f"--format {asked}", f"contradicts the name {output}", "leave one of them out")
    return Naming(template, suffix)


def _named_jobs(
    inputs: list[Path], output: Path, options: RunOptions, report: Sink, naming: Naming | None
) -> Iterator[Job]:
    """The jobs of several inputs, or of one that is not a folder; without `naming`, the output is a file."""
    keys = _keys([source for source in inputs if source != STDIO], naming or OWN_NAMES)
    owned, sidecars_in = _owned(inputs), cache(_sidecars_in)
    for source in inputs:
        if source == STDIO:
            yield _stdin_job(output, naming is not None, options)
        elif is_folder(source):
            yield from walk(source, output, report, naming=naming or OWN_NAMES)
        elif is_apple_double(source):
            report(Note(str(source), APPLE_DOUBLE))
        elif source not in owned:
            job = _file_job(source, output / naming(keys[source]) if naming else output)
            beside = sidecars_in(source.parent) if job.kind is Kind.IMAGE and not job.problem else {}
            own = tuple(map(source.with_name, beside.get(source.name, [])))
            job = with_film_suffix(job) if naming else job
            yield replace(job, key=keys[source].as_posix(), sidecars=own)


def _sidecars_in(folder: Path) -> dict[str, list[str]]:
    """The hints and the reference that lie beside each image of a folder."""
    try:
        return sidecars(sorted(path.name for path in folder.iterdir()))
    except OSError:  # no such folder, or one that cannot be listed
        return {}


def _owned(inputs: list[Path]) -> set[Path]:
    """The inputs that belong to another one, as a shell's `*` names both."""
    folders: dict[Path, list[str]] = {}
    for source in inputs:
        folders.setdefault(source.parent, []).append(source.name)
    return {
        folder / name
        for folder, names in folders.items()
        for several in sidecars(names).values()
        for name in several
    }


def kind_of(head: bytes) -> Kind:
    """Whether a stream that begins with `head` is an image or a film."""
    return Kind.IMAGE if sniff(head) else Kind.VIDEO


def _check_stdout(inputs: list[Path]) -> None:
    if len(inputs) != 1 or is_folder(inputs[0]):
        cause = "standard output takes one image or film"
        raise UsageError("-o -", cause, "name one input, or a folder for OUT")


def _is_folder(inputs: list[Path], output: Path) -> bool:
    """Whether OUT is a folder: it is one, or several inputs or a folder go there, or it has no suffix.

    Raises:
        UsageError: several inputs go there, and it is or looks like a file.
    """
    folder = next((source for source in inputs if source != STDIO and is_folder(source)), None)
    several = len(inputs) > 1 or folder is not None
    what = "several inputs go there" if len(inputs) > 1 else f"the input {folder} is a folder"
    try:
        is_there = output.exists()
    except OSError as error:  # too long a name
        raise UsageError(output, f"cannot be a file ({error.strerror})", "choose another name") from error
    if several and is_there and not output.is_dir():
        raise UsageError(output, f"is a file, but {what}", "name a folder for OUT")
    if several and not is_there and output.suffix.lower() in SUFFIXES.keys() | VIDEO_SUFFIXES:
        raise UsageError(output, f"is a file's name, but {what}", f"name a folder; {output}/ if it is one")
    return several or output.is_dir() or not (output.suffix or is_there)


def _keys(files: list[Path], naming: Naming) -> dict[Path, Path]:
    """What files are called below the output folder: their paths from a common folder if names clash."""
    keys = {source: Path(source.name) for source in files}
    if len({naming(key) for key in keys.values()}) < len(keys):
        whole = {source: source.parent.resolve() / source.name for source in keys}
        try:
            common = os.path.commonpath([path.parent for path in whole.values()])
        except ValueError:  # on several drives of Windows
            return keys
        keys = {source: path.relative_to(common) for source, path in whole.items()}
    return keys


def _check_outside(folder: Path, output: Path) -> None:
    if output.resolve().is_relative_to(folder.resolve()):
        raise UsageError(output, f"lies inside the input {folder}", "choose an output folder elsewhere")


def _stdin_job(output: Path, into_folder: bool, options: RunOptions) -> Job:
    """The job for standard input; in a folder its output is named after its format."""
    from colorcli.jobs.stdio import peek

    try:
        head = peek()
        problem = None if head else InputError("-", "standard input is empty", "check the pipe")
    except OSError as error:
        head = b""
        cause = f"standard input cannot be read ({error.strerror})"
        problem = InputError("-", cause, "open it, or name a file")
    kind = kind_of(head)
    if into_folder:
        asked = f".{options.format}" if options.format else None
        output /= "stdin" + (asked or (suffix_of(head) if kind is Kind.IMAGE else STDIN_VIDEO_SUFFIX))
    return Job(STDIO, output, kind, problem)


def _file_job(source: Path, output: Path) -> Job:
    """The job for a file, or for a pattern of numbered images, that is named itself."""

    def failed(cause: str, remedy: str) -> Job:
        return Job(source, output, Kind.IMAGE, InputError(source, cause, remedy))

    if url_of(source):
        kind = kind_by_suffix(source)
        return (
            Job(source, output, kind) if kind else failed("neither an image nor a film", "check what it is")
        )
    if is_frame_pattern(source) and not source.exists():  # "100%done.png" may be a file
        return Job(source, output, Kind.VIDEO)
    try:
        if not source.exists():
            return failed("no such file", "check the name")
        if not source.is_file():  # opening one could wait forever
            remedy = f"pass it as standard input: colorcli run - < {source}"
            return failed("a pipe, socket or device", remedy)
        kind = kind_by_suffix(source) or kind_by_content(source)
    except OSError as error:
        return failed(f"cannot be read ({error.strerror})", "check the name and its permissions")
    return Job(source, output, kind) if kind else failed("neither an image nor a film", "check what it is")


def _check_collisions(jobs: list[Job]) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.output != STDIO and job.problem is None:
            other = taken.setdefault(job.output, job.source)
            if other != job.source:
                raise collision(job.output, other, job.source)


def _checked(job: Job, options: RunOptions) -> Job:
    """The job with its problem, if it cannot be done, or marked to be skipped, if it need not be done."""
    if job.problem:
        return job
    try:
        return replace(job, skip=_may_be_skipped(job, options))
    except ColorcliError as error:
        return replace(job, problem=error)
    except OSError as error:  # such as too long a name
        cause = f"cannot be looked at ({error.strerror})"
        return replace(job, problem=InputError(job.output, cause, "check the name and its permissions"))
    except Exception as error:  # the other jobs have to be done
        return replace(job, problem=bug(job.source, error))


def _may_be_skipped(job: Job, options: RunOptions) -> bool:
    """Whether the output exists and stays as it is.

    Raises:
        ColorcliError: the job cannot be done.
    """
    if job.kind is Kind.IMAGE:
        _check_format(job.output, options)
    if job.output != STDIO:
        if exists(job.output):
            if _same_file(job.source, job.output):
                raise UsageError(job.source, "the output is the input itself", "choose another output")
            if job.output.is_dir():
                raise UsageError(job.output, "is a folder", "name a file, or remove the folder")
            if options.existing is Existing.REFUSE:
                remedy = "choose --overwrite, --skip-existing or --resume"
                raise RefusedError(job.output, "the output exists already", remedy)
            if options.existing in (Existing.SKIP, Existing.RESUME):
                return True
        if job.kind is Kind.VIDEO and not url_of(job.source) and not url_of(job.output):
            from colorcli.video.colorize import check_video

            check_video(job.source, job.output, options_for(job, options))
    return False


def _same_file(source: Path, output: Path) -> bool:
    return source != STDIO and source.exists() and output.samefile(source)


def _check_format(output: Path, options: RunOptions) -> None:
    """Check that an image can be written in the format that its suffix or `--format` names."""
    asked = options.format
    if output != STDIO:
        output_format(output)
    elif asked:
        output_format(Path(f"stdout.{asked.lstrip('.')}"), f"--format {asked}")
