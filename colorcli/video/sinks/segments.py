"""Finished segments of a video on disk, so that a killed run loses one segment at most.

Beside the output NAME, the folder `.NAME.colorcli` exists until the output is complete. For each segment it
holds the encoded frames (`00007.nut`), the keyframe that the next segment starts from (`00007.npz`) and,
written last, a record (`00007.json`): a segment is finished when its record exists. `run.json` ties them to
input, model and options.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from colorcli.errors import InputError, RefusedError
from colorcli.files import atomic_write, locked, publish
from colorcli.options import Existing
from colorcli.video.frames import Timing
from colorcli.video.sinks.base import ResumePoint
from colorcli.video.temporal_colorizer import Keyframe

_OPTIONS = ("color", "video")
"""Parts of an identity that hold the values of flags."""


@dataclass(frozen=True)
class Record:
    """One finished segment."""

    timings: list[Timing]
    shots: list[tuple[int, bool]]
    """First frame of each shot that starts in it, and whether the shot keeps its color."""
    ends_with_color: bool
    """Whether its last frame had color of its own."""

    def to_json(self) -> str:
        timings = [(timing.pts, timing.duration) for timing in self.timings]
        return json.dumps({"timings": timings, "shots": self.shots, "ends_with_color": self.ends_with_color})

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Raises ValueError, KeyError or TypeError if the text is damaged."""
        fields = json.loads(text)
        timings = [Timing(*pair) for pair in fields["timings"]]
        shots = [(start, keeps_color) for start, keeps_color in fields["shots"]]
        return cls(timings, shots, fields["ends_with_color"])


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """The names of what differs between two identities, options as flags."""
    for name in sorted(earlier.keys() | now.keys()):
        one, other = earlier.get(name), now.get(name)
        if one != other and isinstance(one, dict) and isinstance(other, dict) and name in _OPTIONS:
            yield from (f"--{key.replace('_', '-')}" for key in one if one[key] != other.get(key))
        elif one != other:
            yield name


class Segments:
    """The segments of one output."""

    def __init__(self, output: Path, identity: dict[str, Any]) -> None:
        """`identity`: everything that the frames depend on, as JSON can hold it."""
        self.folder = output.with_name(f".{output.name}.colorcli")
        self._output = output
        identity = {**identity, "keyframe": [field.name for field in fields(Keyframe)]}
        self._identity = json.dumps(identity, sort_keys=True, default=str, indent=1)
        self.records: list[Record] = []

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Create the folder, and keep other runs from writing this output.

        Raises:
            InputError: the folder cannot be created, or another run writes this output.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            cause = f"cannot be created ({error.strerror})"
            raise InputError(self.folder, cause, "check folder and disk") from error
        with locked(self.folder, self._output):
            yield

    def open(self, existing: Existing) -> bool:
        """Prepare the claimed folder; True if it has finished segments of the same run to continue.

        Raises:
            RefusedError: it has finished segments that would be lost.
        """
        manifest = self.folder / "run.json"
        for unfinished in self.folder.glob("*.part.nut"):
            unfinished.unlink()
        earlier = manifest.read_text() if manifest.is_file() else ""
        self.records = list(self._finished()) if earlier and existing is not Existing.OVERWRITE else []
        if self.records:
            self._check_continued(existing, earlier)
            return True
        for old in self.folder.iterdir():
            old.unlink()
        with atomic_write(manifest) as partial:
            partial.write_text(self._identity)
        return False

    def _check_continued(self, existing: Existing, earlier: str) -> None:
        frames = f"{len(self.timings):,} finished frames"
        if existing is not Existing.RESUME:
            cause = f"an unfinished run is here, with {frames}"
            remedy = "continue it with --resume, or start again with --overwrite"
            raise RefusedError(self._output, cause, remedy)
        if earlier != self._identity:
            names = ", ".join(_differences(json.loads(earlier), json.loads(self._identity)))
            cause = f"the unfinished run here, with {frames}, had another {names}"
            remedy = "resume it as it was, or start again with --overwrite"
            raise RefusedError(self._output, cause, remedy)

    @property
    def resume_point(self) -> ResumePoint:
        """Where the frames after the finished segments start."""
        has_color = bool(self.records) and self.records[-1].ends_with_color
        return ResumePoint(len(self.timings), self._last_keyframe(), has_color, self.shots)

    @property
    def timings(self) -> list[Timing]:
        """Of all finished frames."""
        return [timing for record in self.records for timing in record.timings]

    @property
    def shots(self) -> list[tuple[int, bool]]:
        """Of all finished segments."""
        return [shot for record in self.records for shot in record.shots]

    def encoded(self, index: int) -> Path:
        """The encoded frames of a finished segment."""
        return self.folder / f"{index:05d}.nut"

    def unfinished(self, index: int) -> Path:
        """Where the encoded frames of a segment are written until it is finished.

        The name is this process's own: the encoder of a killed run may still be writing its last frames.
        """
        return self.folder / f"{index:05d}.{os.getpid()}.part.nut"

    def commit(self, record: Record, keyframe: Keyframe | None) -> None:
        """Finish the next segment durably: first the frames, then the keyframe, then the record."""
        index = len(self.records)
        publish(self.unfinished(index), self.encoded(index))
        if keyframe is not None:
            with atomic_write(self._keyframe_path(index)) as partial:
                np.savez(partial, **vars(keyframe))
        with atomic_write(self._record_path(index)) as partial:
            partial.write_text(record.to_json())
        self.records.append(record)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _last_keyframe(self) -> Keyframe | None:
        path = self._keyframe_path(len(self.records) - 1)
        if not self.records or not path.is_file():
            return None
        with np.load(path) as stored:
            return Keyframe(**stored)

    def _finished(self) -> Iterator[Record]:
        index = 0
        while self._record_path(index).is_file() and self.encoded(index).is_file():
            try:
                yield Record.from_json(self._record_path(index).read_text())
            except (ValueError, KeyError, TypeError):  # damaged: this segment and all after it are made again
                return
            index += 1

    def _record_path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.json"

    def _keyframe_path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.npz"
