"""Inputs and outputs on object stores and servers, such as `s3://bucket/scans`, through fsspec.

Files are fetched whole to the local disk, and outputs are published whole. An address is kept as a path, in
which `s3://bucket/a` is `s3:/bucket/a`; `url_of` turns it back.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from colorcli.errors import ColorcliError, InputError, SetupError, needs_extra
from colorcli.jobs.job import Job

_WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}
"""Where an object appears whole or not at all; elsewhere it is renamed when it is complete."""


def url_of(path: Path) -> str | None:
    """The address that a path stands for; None for a file of this machine."""
    match = re.fullmatch(r"([a-z][a-z0-9+.-]+):/+(.+)", path.as_posix())  # one letter is a drive of Windows
    return match and (f"{match[1]}:///{match[2]}" if match[1] == "file" else f"{match[1]}://{match[2]}")


def is_folder(path: Path) -> bool:
    """Whether a folder of this name exists, here or elsewhere."""
    url = url_of(path)
    if url is None:
        return path.is_dir()
    with _named(path, "be looked at"):
        system, place = _open(url)
        return bool(system.isdir(place))


def exists(path: Path) -> bool:
    """Whether a file of this name exists; elsewhere, a folder is listed once for all of its files."""
    url = url_of(path)
    return path.exists() if url is None else path.name in _names(path.parent)


def refresh() -> None:
    """Forget what folders held; to be called before a run."""
    _names.cache_clear()


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below an address, by its path below it, with the names of its files, sorted."""
    with _named(folder, "be listed"):
        system, root = _open(url_of(folder) or "")
        for place, folders, files in system.walk(root):
            folders.sort()
            below = place.removeprefix(root).strip("/")
            yield Path(below), sorted(name for name in files if name)


@contextmanager
def fetched(job: Job) -> Iterator[Job]:
    """The same job with local files in place of addresses; its outputs are published when the block ends.

    Raises:
        InputError: the source cannot be fetched, or the output cannot be published.
    """
    source, output = url_of(job.source), url_of(job.output)
    if source is None and output is None:
        yield job
        return
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        local = job
        if source is not None:
            local = replace(local, source=Path(folder) / "in" / job.source.name)
            fetch(job.source, local.source)
        if output is not None:
            local = replace(local, output=Path(folder) / "out" / job.output.name)
        try:
            yield local
        except ColorcliError as error:
            names = {str(local.source): str(job.source), str(local.output): str(job.output)}
            raise type(error)(names.get(error.subject, error.subject), error.cause, error.remedy) from error
        if output is not None:
            for made in sorted(local.output.parent.iterdir()):
                publish(made, job.output.with_name(made.name))


def fetch(path: Path, local: Path) -> None:
    """Copy a file, or a folder with all below it, from an address to this machine."""
    system, place = _open(url_of(path) or "")
    local.parent.mkdir(parents=True, exist_ok=True)
    with _named(path, "be fetched"):
        system.get(place, str(local), recursive=system.isdir(place))


def publish(local: Path, path: Path) -> None:
    """Copy a file to an address, where it appears whole."""
    system, place = _open(url_of(path) or "")
    with _named(path, "be published"):
        parent, _, name = place.rpartition("/")
        system.makedirs(parent, exist_ok=True)
        protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
        if protocol in _WHOLE:
            system.put_file(str(local), place)
        else:
            partial = f"{parent}/.{name}.part"
            system.put_file(str(local), partial)
            system.mv(partial, place)


@lru_cache(maxsize=4)
def _names(folder: Path) -> frozenset[str]:
    """The names in a folder when it was first asked for: a run makes each output once."""
    system, place = _open(url_of(folder) or "")
    with _named(folder, "be listed"):
        system.invalidate_cache()
        try:
            return frozenset(entry.rstrip("/").rpartition("/")[2] for entry in system.ls(place, detail=False))
        except FileNotFoundError:
            return frozenset()


@lru_cache(maxsize=16)
def _system(protocol: str) -> Any:
    with needs_extra(f"{protocol}://", "storage"):
        import fsspec
    try:
        return fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        remedy = "pip install s3fs, gcsfs or adlfs, whichever it needs"
        raise SetupError(f"{protocol}://", str(error), remedy) from error


def _open(url: str) -> tuple[Any, str]:
    """The file system of an address, and its name there."""
    system = _system(url.partition("://")[0])
    return system, system._strip_protocol(url)


@contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Turn what libraries of stores raise, which have no common base, into one error."""
    try:
        yield
    except ColorcliError:
        raise
    except Exception as error:
        cause = f"cannot {what} ({str(error) or type(error).__name__})"
        raise InputError(url_of(path) or path, cause, "check the address and your rights") from error
