"""Finished segments of a video on disk, so that a killed run loses one segment of each worker at most.

Beside the output NAME, the folder `.NAME.colorcli` exists until the output is complete. For each segment it
holds the encoded frames (`00000480.nut`, named by how many frames precede it), the keyframe that the next
segment starts from if it continues the shot (`00000480.npz`), what the report has of its shots
(`00000480.shots`) and, written last, a record (`00000480.json`): a
segment is finished when its record exists. Segments may be finished in any order, by any process. `run.json`
ties them to input, model and options.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from colorcli.errors import InputError, RefusedError
from colorcli.files import atomic_write, locked, publish
from colorcli.options import Existing
from colorcli.video.frames import Findings, Timing
from colorcli.video.part import WARM_UP, Part, Place, StoredShot
from colorcli.video.shot_summary import ShotSummary
from colorcli.video.temporal_colorizer import Keyframe

_OPTIONS = ("color", "video")
"""Parts of an identity that hold the values of flags."""
CHAIN_FRAMES = 25
"""Frames after which a segment, and its chain, end at the next cut. So a change to a shot encodes that shot
alone again, except that shots of less than a second go with the next one. On 1,000 frames with 11 cuts, this
takes as long as segments of ten seconds or more, and the file is as large."""
LONGEST_SEGMENT = 480
"""Frames after which a segment ends within a shot, at the next keyframe, which it hands on to the next one of
its chain."""


_NOT_COLOR = {
    "settings", "compare", "shots", "codec", "crf", "preset", "pix_fmt", "encoder_args", "keep",
    "references or hints", "hints", "references",
}  # fmt: skip
"""Names in an identity, and of options in it, that the colors of a segment do not depend on, or that it knows
about itself."""


def _color_identity(identity: dict[str, Any]) -> dict[str, Any]:
    """The part of an identity that the colors of all segments depend on."""

    def relevant(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in _NOT_COLOR}

    return relevant(identity) | {name: relevant(identity[name]) for name in _OPTIONS}


def starts_chain(frames: int, *, starts_shot: bool) -> bool:
    """Whether a chain of segments starts with a frame, which so many frames of the chain before precede."""
    return starts_shot and frames >= CHAIN_FRAMES


@dataclass(frozen=True)
class Record:
    """One finished segment."""

    position: int
    """How many of the output's frames precede it."""
    chain_start: int
    """The position at which its chain starts, which depends on nothing before it."""
    numbers: list[int]
    """Of its frames in the source."""
    timings: list[Timing]
    findings: list[Findings]
    keeps_color: bool
    """Whether its last frame keeps its own color."""
    shots: int
    """How many shots start in it."""
    kept: int
    """How many of its frames keep their own color."""
    checksum: int
    """Of its last frame (`part.frame_checksum`)."""
    keys: list[tuple[int, str]]
    """Digests of the decisions about the frames of its shots (`decision_key`)."""
    encoding: str
    """A digest of how it is encoded."""

    @property
    def end(self) -> int:
        """The position after its last frame."""
        return self.position + len(self.timings)

    def to_json(self) -> str:
        timings = [(timing.pts, timing.duration) for timing in self.timings]
        findings = [[found.has_color, found.own_cells, *found.cuts] for found in self.findings]
        return json.dumps({**vars(self), "timings": timings, "findings": findings})

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Raises ValueError, KeyError or TypeError if the text is damaged."""
        stored = json.loads(text)
        stored["timings"] = [Timing(*pair) for pair in stored["timings"]]
        stored["keys"] = [(number, digest) for number, digest in stored["keys"]]
        stored["findings"] = [
            Findings(tuple(cuts), has_color, tuple(own)) for has_color, own, *cuts in stored["findings"]
        ]
        return cls(**stored)


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

    def __init__(self, output: Path, identity: dict[str, Any], encoding: str = "") -> None:
        """`identity`: everything that the frames depend on, as JSON can hold it.

        `encoding`: a digest of how frames are encoded now.
        """
        self.folder = output.with_name(f".{output.name}.colorcli")
        self._output = output
        self._encoding = encoding
        self._writer = secrets.token_hex(8)
        identity = {**identity, "keyframe": [field.name for field in fields(Keyframe)]}
        self._identity = json.dumps(identity, sort_keys=True, default=str, indent=1)
        self.records: list[Record] = []
        """Of the segments that are colorized, in the order of the video."""
        self._dropped: list[Record] = []
        """Of those that are to be colorized again. What they say of the source is still true."""
        self._same_shots: list[StoredShot] = []
        """Those among them that may keep their colors."""

    @property
    def finished(self) -> list[Record]:
        """Those that are also encoded as they should be now."""
        return [record for record in self.records if record.encoding == self._encoding]

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
            for pattern in ("*.part.nut", "earlier-*"):
                for unfinished in self.folder.glob(pattern):
                    unfinished.unlink()
            yield

    def open(self, existing: Existing) -> bool:
        """Prepare the claimed folder; True if it has finished segments of the same run to continue.

        Raises:
            RefusedError: it has finished segments that would be lost.
        """
        manifest = self.folder / "run.json"
        earlier = manifest.read_text() if manifest.is_file() else ""
        if earlier and existing is not Existing.OVERWRITE:
            self.load()
        if self.records:
            self._check_continued(existing, earlier)
            return True
        for old in self.folder.iterdir():
            old.unlink()
        with atomic_write(manifest) as partial:
            partial.write_text(self._identity)
        return False

    def reopen(self) -> bool:
        """Prepare the folder that a finished run has kept; False if its colors are of no use to this one.

        The segments without a gap before them stay, if their colors are stored.
        """
        manifest = self.folder / "run.json"
        try:
            earlier, now = json.loads(manifest.read_text()), json.loads(self._identity)
            is_usable = _color_identity(earlier) == _color_identity(now)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if not is_usable:
            return False
        self.load()
        kept = [record for record in self.records if self.chroma(record.position).is_file()]
        whole = [
            record
            for record, end in zip(kept, [0, *(one.end for one in kept)], strict=False)
            if record.position == end
        ]
        self._delete([record for record in self.records if record not in whole])
        self.load()
        with atomic_write(manifest) as partial:
            partial.write_text(self._identity)
        return True

    def drop(self, chain_starts: Collection[int], same_shots: Sequence[StoredShot]) -> None:
        """Remove the segments of chains, which are then colorized again.

        `same_shots`: shots that a chain may keep when it is colorized again, with their `earlier_chroma`.
        """
        self._same_shots = list(same_shots)
        self._set_aside([record for record in self.records if record.chain_start in chain_starts])
        self.load()

    def _set_aside(self, records: Sequence[Record]) -> None:
        """Remove segments that are to be colorized again; their colors stay until the end of the run."""
        for record in records:
            if (chroma := self.chroma(record.position)).is_file():
                chroma.rename(self.earlier_chroma(record.position))
        self._delete(records)
        self._dropped += records

    def _delete(self, records: Iterable[Record]) -> None:
        for record in records:
            for path in self.folder.glob(f"{record.position:08d}.*"):
                path.unlink()

    def _check_continued(self, existing: Existing, earlier: str) -> None:
        count = sum(len(record.timings) for record in self.records)
        frames = f"{count:,} finished frames"
        if existing is not Existing.RESUME:
            cause = f"an unfinished run is here, with {frames}"
            remedy = "continue it with --resume, or start again with --overwrite"
            raise RefusedError(self._output, cause, remedy)
        if earlier != self._identity:
            names = ", ".join(_differences(json.loads(earlier), json.loads(self._identity)))
            cause = f"the unfinished run here, with {frames}, had another {names}"
            remedy = "resume it as it was, or start again with --overwrite"
            raise RefusedError(self._output, cause, remedy)

    def load(self) -> None:
        """Read the records of all segments that are finished by now."""
        self.records = list(self._finished())

    def gaps(self, is_same: Callable[[Sequence[Record]], bool]) -> Iterator[Part]:
        """The parts that are still to be colorized; the last one has no length, and may have no frames.

        Args:
            is_same: whether the segments of a finished chain would have the same colors again. It is asked
                for each when the parts before are colorized. A chain that would not is removed, and is among
                the parts.
        """
        dropped = {record.position for record in self._dropped}
        records = sorted([*self.records, *self._dropped], key=lambda record: record.position)
        done: list[Record] = []
        again: list[Record] = []
        """Of the chains that are colorized again in one part, as a change may move their bounds."""
        for _, group in groupby(records, key=lambda record: record.chain_start):
            chain = list(group)
            if chain[0].position in dropped:
                again += chain
                continue
            yield from self._again(done, again)
            done, again = done + again, []
            if chain[0].position > (position := done[-1].end if done else 0):
                part = self._part_after(done, chain[0].position - position)
                yield replace(part, last=chain[0].numbers[0] - 1)
            if is_same(chain):
                yield from self._encoded_again(done, chain)
                done += chain
                continue
            is_open = self._keyframe(chain[-1]) is not None
            self._set_aside(chain)
            redone = sum(len(record.timings) for record in chain), sum(record.kept for record in chain)
            if is_open:  # the run was interrupted within this chain, the last one
                yield replace(self._part_after(done, None), redone=redone)
                return
            yield from (replace(part, redone=redone) for part in self._again(done, chain))
            done += chain
        yield self._part_after(done, None)  # with what is colorized again at the end

    def _again(self, done: list[Record], again: list[Record]) -> Iterator[Part]:
        """The part of consecutive chains that are colorized again, after those that are done."""
        if again:
            findings = [found for record in again for found in record.findings]
            part = self._part_after(done, len(findings))
            last = again[-1].numbers[-1]
            stored = [shot for shot in self._same_shots if again[0].numbers[0] <= shot.start <= last]
            yield replace(part, last=last, findings=findings, stored=stored)

    def _encoded_again(self, done: list[Record], chain: list[Record]) -> Iterator[Part]:
        """The segments of a chain that are not encoded as they should be now."""
        for place, record in enumerate(chain):
            if record.encoding != self._encoding:
                part = self._part_after(done + chain[:place], len(record.timings))
                chroma = self.chroma(record.position)
                yield replace(
                    part,
                    chain_start=record.chain_start,
                    last=record.numbers[-1],
                    chroma=chroma,
                    findings=record.findings,
                )

    def encoded(self, record: Record) -> Path:
        """The encoded frames of a finished segment."""
        return self._path(record.position, "nut")

    def chroma(self, position: int) -> Path:
        """The colors of a segment, if they are kept."""
        return self._path(position, "chroma.nut")

    def earlier_chroma(self, position: int) -> Path:
        """The colors of a segment that is colorized again, until the end of the run."""
        return self.folder / f"earlier-{position:08d}.nut"

    def unfinished_chroma(self, position: int) -> Path:
        """Where they are written until the segment is finished."""
        return self._path(position, f"{self._writer}.chroma.part.nut")

    def unfinished(self, position: int) -> Path:
        """Where the encoded frames of a segment are written until it is finished.

        The name is this object's own: the encoder of a killed run may still be writing its last frames, and
        processes of two machines may have the same number.
        """
        return self._path(position, f"{self._writer}.part.nut")

    def summaries(self, position: int) -> list[ShotSummary]:
        """Of the shots in a segment, each from its beginning; none if they are not stored."""
        try:
            stored = json.loads(self._path(position, "shots").read_text())
            return [ShotSummary.from_json(one) for one in stored]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def commit(
        self, record: Record, keyframe: Keyframe | None, summaries: Sequence[ShotSummary] | None
    ) -> None:
        """Finish a segment durably: first the frames, then what belongs to them, then the record.

        `summaries`: of the shots in it; None to leave those that are stored.
        """
        if summaries is not None:
            with atomic_write(self._path(record.position, "shots")) as partial:
                partial.write_text(json.dumps([one.to_json() for one in summaries]))
        if (chroma := self.unfinished_chroma(record.position)).is_file():
            publish(chroma, self.chroma(record.position))
        publish(self.unfinished(record.position), self.encoded(record))
        if keyframe is not None:
            with atomic_write(self._path(record.position, "npz")) as partial:
                np.savez(partial, **vars(keyframe))
        with atomic_write(self._path(record.position, "json")) as partial:
            partial.write_text(record.to_json())

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part_after(self, done: list[Record], length: int | None) -> Part:
        """The part after finished segments."""
        if not done:
            return Part(length=length)
        last = done[-1]
        timings = [timing for record in done[-WARM_UP:] for timing in record.timings]
        earlier = timings[-WARM_UP - 1 :][0]
        before = Place(last.numbers[-1], last.timings[-1].pts, earlier.pts, last.checksum)
        keyframe = self._keyframe(last)
        return Part(
            last.end,
            before,
            chain_start=last.end if keyframe is None else last.chain_start,
            has_color=last.findings[-1].has_color,
            keeps_color=last.keeps_color,
            keyframe=keyframe,
            open_shot=None if keyframe is None else next(iter(self.summaries(last.position)[-1:]), None),
            shots_before=sum(record.shots for record in done),
            length=length,
        )

    def _keyframe(self, record: Record) -> Keyframe | None:
        path = self._path(record.position, "npz")
        if record in self._dropped or not path.is_file():
            return None
        with np.load(path) as stored:
            return Keyframe(**stored)

    def _finished(self) -> Iterator[Record]:
        """The records that are whole, without those that continue a shot from a segment that is not."""
        before: Record | None = None
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = Record.from_json(path.read_text())
            except (ValueError, KeyError, TypeError):  # damaged, or run.json
                continue
            end, chain_start = (before.end, before.chain_start) if before else (0, 0)
            continues = record.position == end and record.chain_start == chain_start
            is_usable = record.position == record.chain_start or continues
            if record.position >= end and is_usable and self.encoded(record).is_file():
                yield record
                before = record

    def _path(self, position: int, suffix: str) -> Path:
        return self.folder / f"{position:08d}.{suffix}"
