"""Finished pieces of a film on disk, so that a killed run loses at most one of them.

Beside the output NAME stands the folder `.NAME.colorcli` until the output is whole. For each segment it holds
the encoded frames (`00007.nut`), what the next one starts from (`00007.npz`) and, written last, a record
(`00007.json`): a segment counts when its record is there. `run.json` ties them to input, model and options.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colorcli.errors import InputError
from colorcli.files import atomic_write, claimed, publish
from colorcli.video.muxer import Timing
from colorcli.video.temporal_colorizer import Keyframe

HEAD = 1 << 20
"""Bytes at either end of a film by which it is known again."""


@dataclass(frozen=True)
class Record:
    """One finished segment."""

    timings: list[Timing]
    shots: list[tuple[int, bool]]
    """Number of the first frame of each shot that begins in it, and whether it kept its colors."""
    colored: bool
    """Whether its last frame had color already."""


class Segments:
    """The segments of one output."""

    def __init__(self, output: Path, identity: dict[str, Any]) -> None:
        """`identity`: all that the frames depend on, as JSON can hold it."""
        self.folder = output.with_name(f".{output.name}.colorcli")
        self._output = output
        self._identity = json.dumps(identity, sort_keys=True, default=str, indent=1)
        self.records: list[Record] = []

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder, and keep other runs off this output.

        Raises:
            InputError: the folder cannot be made, or another run is at it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                self.folder, f"cannot be made ({error.strerror})", "check folder and disk"
            ) from error
        with claimed(self.folder, self._output):
            yield

    def open(self, *, resume: bool) -> bool:
        """Make the claimed folder ready; whether there was something of the same run to continue."""
        manifest = self.folder / "run.json"
        if resume and manifest.is_file() and manifest.read_text() == self._identity:
            self.records = list(self._finished())
            return bool(self.records)
        for old in self.folder.iterdir():
            old.unlink()
        with atomic_write(manifest) as partial:
            partial.write_text(self._identity)
        return False

    @property
    def frames(self) -> int:
        """How many frames are finished."""
        return sum(len(record.timings) for record in self.records)

    def encoded(self, index: int) -> Path:
        return self.folder / f"{index:05d}.nut"

    def writing(self, index: int) -> Path:
        """Where a segment is written until it is finished."""
        return self.folder / f"{index:05d}.part.nut"

    def commit(self, index: int, record: Record, key: Keyframe | None) -> None:
        """Make a finished segment count, durably: frames, then state, then the record."""
        publish(self.writing(index), self.encoded(index))
        if key is not None:
            with atomic_write(self._state(index)) as partial:
                np.savez(partial, small=key.small, chroma=key.chroma)
        with atomic_write(self._record(index)) as partial:
            partial.write_text(json.dumps(_pack(record)))
        self.records.append(record)

    def last_key(self) -> Keyframe | None:
        """What the frame after the finished ones goes on from."""
        path = self._state(len(self.records) - 1)
        if not self.records or not path.is_file():
            return None
        with np.load(path) as state:
            return Keyframe(state["small"], state["chroma"])

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _finished(self) -> Any:
        index = 0
        while self._record(index).is_file() and self.encoded(index).is_file():
            try:
                yield _unpack(json.loads(self._record(index).read_text()))
            except (ValueError, KeyError):  # damaged: it is made again, and all after it
                return
            index += 1

    def _record(self, index: int) -> Path:
        return self.folder / f"{index:05d}.json"

    def _state(self, index: int) -> Path:
        return self.folder / f"{index:05d}.npz"


def digest_of(path: Path) -> str:
    """The hash of a film's size, first and last megabyte: quick, and tied to content, not to a date."""
    size = path.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with path.open("rb") as film:
        found.update(film.read(HEAD))
        film.seek(max(0, size - HEAD), os.SEEK_SET)
        found.update(film.read(HEAD))
    return found.hexdigest()


def _pack(record: Record) -> dict[str, Any]:
    return {**asdict(record), "timings": [(timing.pts, timing.duration) for timing in record.timings]}


def _unpack(fields: dict[str, Any]) -> Record:
    timings = [Timing(*pair) for pair in fields["timings"]]
    return Record(timings, [(start, kept) for start, kept in fields["shots"]], fields["colored"])
