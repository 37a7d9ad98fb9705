"""The images and films below a folder, found one directory at a time, so that memory does not grow."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from colorcli.errors import ColorcliError, InputError, UsageError
from colorcli.events import Note, Sink
from colorcli.images.codecs.animation import is_animated_gif
from colorcli.images.codecs.registry import HEAD, SUFFIXES, sniff
from colorcli.jobs import storage
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.naming import EVERYTHING, OWN_NAMES, Naming, Selection, sidecars
from colorcli.jobs.shard import Shard
from colorcli.video.formats import VIDEO_SUFFIXES, is_video

APPLE_DOUBLE = "AppleDouble data of macOS, left out"
WHOLE = Shard(0, 1)
NONE_SELECTED = "no file is wanted by --include and --exclude"


def walk(
    folder: Path,
    output: Path,
    report: Sink,
    shard: Shard = WHOLE,
    naming: Naming = OWN_NAMES,
    selection: Selection = EVERYTHING,
) -> Iterator[Job]:
    """Jobs for everything below a folder or an address, sorted by name, files before directories.

    Links are not followed, and files that are neither images nor film are left out; `report` receives a
    `Note` for each, and if there is nothing at all. Of other shards nothing but the names is read. Two files
    of one directory that would have the same output become jobs with a problem.
    """
    if storage.url_of(folder):
        yield from _walk_store(folder, output, report, shard, naming, selection)
        return
    waiting = [folder]
    is_empty, is_selected = True, False
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield from _denied(folder, here, output, error, shard)
            continue
        folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting += reversed(folders)
        below = here.relative_to(folder)
        files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
        beside = sidecars([entry.name for entry in files])
        owned = {name for names in beside.values() for name in names}
        files = [entry for entry in files if entry.name not in owned]
        is_empty = is_empty and not files
        files = [entry for entry in files if selection.has(below / entry.name)]
        is_selected = is_selected or bool(files)
        clashes = _clashes(below, [entry.name for entry in files], naming, here)
        for entry in files:
            relative = below / entry.name
            if shard.has(relative.as_posix()) and (kind := _kind(entry, report)):
                own = tuple(here / name for name in beside.get(entry.name, ()))
                problem = clashes.get(entry.name)
                target = output / naming(relative)
                job = Job(Path(entry.path), target, kind, problem, sidecars=own, key=relative.as_posix())
                yield with_film_suffix(job)
    if is_empty:
        report(Note(str(folder), "there is nothing to colorize in this folder"))
    elif not is_selected:
        report(Note(str(folder), NONE_SELECTED))


def with_film_suffix(job: Job) -> Job:
    """The job, its output named `.mkv` if its source is a film with the name of an image: an animated GIF."""
    if (
        job.kind is Kind.VIDEO
        and job.source.suffix.lower() == ".gif"
        and job.output.suffix.lower() in SUFFIXES
    ):
        return replace(job, output=job.output.with_suffix(".mkv"))
    return job


def _walk_store(
    folder: Path, output: Path, report: Sink, shard: Shard, naming: Naming, selection: Selection
) -> Iterator[Job]:
    """As `walk`, for the address of a folder on an object store; what files are, their suffixes say."""
    for below, names in storage.walk(folder):
        wanted = [name for name in names if selection.has(below / name)]
        clashes = _clashes(below, wanted, naming)
        for relative in (below / name for name in wanted):
            if not shard.has(relative.as_posix()):
                continue
            source, kind = folder / relative, kind_by_suffix(relative)
            if kind is None:
                report(Note(str(source), "neither an image nor a film by its suffix, left out"))
            else:
                target = output / naming(relative)
                yield Job(source, target, kind, clashes.get(relative.name), key=relative.as_posix())


def kind_by_suffix(source: Path) -> Kind | None:
    """What a file is by its name, and a GIF by its number of frames; None if the suffix does not say."""
    suffix = source.suffix.lower()
    if suffix == ".gif" and is_animated_gif(source):
        return Kind.VIDEO
    return Kind.IMAGE if suffix in SUFFIXES else Kind.VIDEO if suffix in VIDEO_SUFFIXES else None


def kind_by_content(source: Path) -> Kind | None:
    """What a file is by its first bytes; None if it is neither an image nor a film.

    Raises:
        OSError: it cannot be read.
    """
    with source.open("rb") as file:
        head = file.read(HEAD)
    return Kind.IMAGE if sniff(head) else Kind.VIDEO if is_video(head) else None


def is_apple_double(source: Path) -> bool:
    """Whether this is what macOS writes beside a file on other systems' disks (RFC 1740)."""
    try:
        if not (source.name.startswith("._") and source.is_file()):
            return False
        with source.open("rb") as file:
            return file.read(4) == b"\0\5\x16\7"
    except OSError:
        return False


def _kind(entry: "os.DirEntry[str]", report: Sink) -> Kind | None:
    """By suffix; film with another suffix, such as cameras' `.MOD`, by content. None with a note."""
    source = Path(entry.path)
    if entry.is_symlink():
        reason = "a symbolic link, not followed"
    elif not entry.is_file():
        reason = "a pipe, socket or device, left out"
    elif is_apple_double(source):
        reason = APPLE_DOUBLE
    elif kind := kind_by_suffix(source) or _film_by_content(source):
        return kind
    else:
        reason = "neither an image nor a film, left out"
    report(Note(entry.path, reason))
    return None


def _film_by_content(source: Path) -> Kind | None:
    try:
        return Kind.VIDEO if kind_by_content(source) is Kind.VIDEO else None
    except OSError:  # nothing says that it is film
        return None


def _clashes(
    below: Path, names: list[str], naming: Naming, folder: Path | None = None
) -> dict[str, ColorcliError]:
    """The problems of files of one directory whose outputs would be the same file."""
    takers: dict[Path, list[str]] = {}
    stems = Counter(PurePath(name).stem for name in names)
    for name in names:
        target = naming(below / name)
        if folder and name.lower().endswith(".gif") and stems[PurePath(name).stem] > 1:
            target = target.with_suffix(".mkv") if is_animated_gif(folder / name) else target
        takers.setdefault(target, []).append(name)
    problems: dict[str, ColorcliError] = {}
    for target, several in takers.items():
        if len(several) > 1:
            error = collision(target, below / several[0], below / several[1])
            problems.update(dict.fromkeys(several, error))
    return problems


def collision(output: Path, one: Path, other: Path) -> UsageError:
    """Two inputs that would have the same output."""
    cause = f"both {one} and {other} would be written there"
    return UsageError(output, cause, "write one of them into another folder, or rename it")


def _denied(folder: Path, place: Path, output: Path, error: OSError, shard: Shard) -> Iterator[Job]:
    """A directory that cannot be read."""
    below = place.relative_to(folder)
    if shard.has(below.as_posix()):
        problem = InputError(place, f"the folder cannot be read ({error.strerror})", "check its permissions")
        yield Job(place, output / below, Kind.IMAGE, problem, key=below.as_posix())
