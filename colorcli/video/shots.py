"""The shot list: what was decided for each shot, to be read, edited and used by a second run.

A CSV table, for people and spreadsheets: `start` and `end` are frame numbers from 0, the end left out; `time`
is the start's clock time, for orientation only; `saturation` multiplies the shot's colors; `reference` names
a picture in the references' folder; `skip` is `yes` where the shot keeps the colors it has.
"""

import csv
import io
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from colorcli.errors import InputError, UsageError
from colorcli.files import atomic_write

COLUMNS = ("start", "end", "time", "saturation", "reference", "skip")


@dataclass(frozen=True)
class Shot:
    start: int
    end: int
    saturation: float = 1.0
    reference: str = ""
    skip: bool = False


def read_shots(path: Path) -> list[Shot]:
    """Read a list.

    Raises:
        InputError: it cannot be read.
        UsageError: a row makes no sense; the message says which.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "check --shots") from error
    shots: list[Shot] = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            shot = Shot(
                int(row["start"]),
                int(row["end"]),
                float(row.get("saturation") or 1),
                (row.get("reference") or "").strip(),
                (row.get("skip") or "").strip().lower() in ("yes", "y", "true", "1"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                path, f"line {number} is no shot ({error})", f"columns: {', '.join(COLUMNS)}"
            ) from error
        if shot.start >= shot.end or (shots and shot.start < shots[-1].end):
            raise UsageError(
                path, f"line {number}: shot overlaps or is empty", "let each begin where one ended"
            )
        shots.append(shot)
    if not shots:
        raise UsageError(path, "holds no shots", "delete it to have it written anew")
    return shots


def write_shots(path: Path, shots: list[Shot], rate: Fraction) -> None:
    """Write a list, whole or not at all."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for shot in shots:
        skip = "yes" if shot.skip else "no"
        writer.writerow(
            (shot.start, shot.end, _clock(shot.start / rate), f"{shot.saturation:g}", shot.reference, skip)
        )
    with atomic_write(path) as partial:
        partial.write_text(table.getvalue(), encoding="utf-8")


def _clock(seconds: Fraction) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:06.3f}"


def shots_between(starts: list[tuple[int, bool]], end: int) -> list[Shot]:
    """Shots from their first frames' numbers and whether they keep their colors; `end` ends the last."""
    ends = [start for start, _ in starts[1:]] + [end]
    return [Shot(start, stop, skip=kept) for (start, kept), stop in zip(starts, ends, strict=True)]


class ShotPlan:
    """What a shot list says of each frame; what it is silent about is left to be seen."""

    def __init__(self, shots: list[Shot]) -> None:
        self._shots = shots
        self._starts = [shot.start for shot in shots]

    def of(self, number: int) -> Shot | None:
        place = bisect_right(self._starts, number) - 1
        return self._shots[place] if place >= 0 and number < self._shots[place].end else None

    def __call__(self, number: int) -> tuple[bool | None, bool, float]:
        """Whether a frame keeps its colors (None: see), whether it opens a shot, and its saturation."""
        shot = self.of(number)
        return (None, False, 1.0) if shot is None else (shot.skip, shot.start == number, shot.saturation)
