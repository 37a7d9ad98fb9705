"""The shot list: what to do in each shot, as a table that people can edit.

CSV: `start` and `end` are frame numbers from 0, `end` excluded; `time` is the clock time of the start, for
information only; `saturation`, `hue` and `warmth` change the shot's colors as `grade` has them; `reference`
names a picture in the folder of references; `skip` is `yes` where the shot keeps the color it has.
PySceneDetect's scene lists are read as well, with `Start Frame` and `End Frame` for the first two.
"""

import csv
import io
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path

from colorcli.errors import InputError, UsageError
from colorcli.files import atomic_write
from colorcli.video.grade import UNGRADED, Grade

DECISIONS = ("saturation", "hue", "warmth", "reference", "skip")
"""The columns that say what to do."""
SCENE_START, SCENE_CUTS = "Start Frame", "Timecode List:"
COLUMNS = ("start", "end", "time", *DECISIONS)


@dataclass(frozen=True)
class Shot:
    """One row of the list."""

    start: int
    """Number of its first frame."""
    end: int
    """Number of the frame after its last."""
    grade: Grade = UNGRADED
    reference: str = ""
    """Name of a picture in the folder of references, empty for none."""
    skip: bool = False
    """It keeps the color it has."""

    def decisions(self) -> tuple[str, ...]:
        """The values of `DECISIONS` as text."""
        grade = (f"{value:g}" for value in (self.grade.saturation, self.grade.hue, self.grade.warmth))
        return *grade, self.reference, "yes" if self.skip else "no"


class ShotList:
    """Shots in order, found by frame number. The shots need not cover the whole video."""

    def __init__(self, shots: list[Shot]) -> None:
        self.shots = shots
        self._starts = [shot.start for shot in shots]

    def find(self, number: int) -> Shot | None:
        """The shot of a frame."""
        place = bisect_right(self._starts, number) - 1
        return self.shots[place] if place >= 0 and number < self.shots[place].end else None

    def gaps(self, start: int = 0, end: int = 0) -> list[int]:
        """First frames of the parts that no shot covers, from `start` to the last shot or to before `end`."""
        ends = [start, *(shot.end for shot in self.shots)]
        return [before for before, after in zip(ends, [*self._starts, end], strict=True) if before < after]


def read_shots(path: Path) -> list[Shot]:
    """Read a list.

    Raises:
        InputError: it cannot be read.
        UsageError: it is not text, or a row is invalid; the message gives its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "check --shots") from error
    except UnicodeDecodeError as error:
        raise UsageError(path, "is not a text file", "save it as CSV in UTF-8") from error
    shots: list[Shot] = []
    header = 1
    if text.startswith(SCENE_CUTS):  # a line that PySceneDetect writes above the header
        header, text = 2, text.partition("\n")[2]
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), header + 1):
        try:
            shot = _parse(row)
        except (KeyError, TypeError, ValueError) as error:
            cause = f"line {line} is not a shot"
            raise UsageError(path, cause, f"columns: {', '.join(COLUMNS)}") from error
        if shot.start >= shot.end or (shots and shot.start < shots[-1].end):
            cause = f"line {line}: the shot is empty or overlaps the one before"
            raise UsageError(path, cause, "let each shot begin where the one before ends")
        shots.append(shot)
    if not shots:
        raise UsageError(path, "contains no shots", "delete it, and the next run writes a new one")
    return shots


def read_shot_list(path: Path | None) -> ShotList:
    """The value of --shots: a list that does not exist yet is empty."""
    return ShotList(read_shots(path) if path is not None and path.exists() else [])


def _parse(row: dict[str, str]) -> Shot:
    if SCENE_START in row:  # counted from 1, and the end is included
        start, end = int(row[SCENE_START]) - 1, int(row["End Frame"])
    else:
        start, end = int(row["start"]), int(row["end"])
    return Shot(
        start=start,
        end=end,
        grade=_grade(row),
        reference=(row.get("reference") or "").strip(),
        skip=(row.get("skip") or "").strip().lower() in ("yes", "y", "true", "1"),
    )


def _grade(row: dict[str, str]) -> Grade:
    """Raises ValueError if a value is no number or out of range."""
    saturation = float(row.get("saturation") or 1)
    hue, warmth = (float(row.get(name) or 0) for name in ("hue", "warmth"))
    if not (0 <= saturation < inf and abs(hue) <= 360 and abs(warmth) <= 1):
        raise ValueError("saturation from 0, hue within 360 degrees, warmth from -1 to 1")
    return Grade(saturation, hue, warmth)


def write_shots(path: Path, shots: list[Shot], rate: Fraction) -> None:
    """Write a list, whole or not at all; `rate` is the frame rate."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for shot in shots:
        writer.writerow((shot.start, shot.end, _clock(shot.start / rate), *shot.decisions()))
    with atomic_write(path) as partial:
        partial.write_text(table.getvalue(), encoding="utf-8")


def _clock(seconds: Fraction) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}:{rest:06.3f}"


def shots_from_starts(starts: list[tuple[int, bool]], end: int) -> list[Shot]:
    """Shots from their first frames, with whether they keep their color; the last one ends at `end`."""
    ends = [start for start, _ in starts[1:]] + [end]
    return [Shot(start, stop, skip=keeps) for (start, keeps), stop in zip(starts, ends, strict=True)]
