"""Shots as other programs read them: PySceneDetect's CSV, CMX 3600 edit lists, and OpenTimelineIO."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from colorcli.errors import UsageError
from colorcli.files import atomic_write
from colorcli.video.info import VideoInfo
from colorcli.video.shot_list import DECISIONS, Shot
from colorcli.video.timecode import clock

SCENE_COLUMNS = (
    "Scene Number", "Start Frame", "Start Timecode", "Start Time (seconds)", "End Frame", "End Timecode",
    "End Time (seconds)", "Length (frames)", "Length (timecode)", "Length (seconds)",
)  # fmt: skip
"""PySceneDetect's (`write_scene_list`). It counts frames from 1, and its ends are included."""


def write_shot_exchange(path: Path, shots: Sequence[Shot], info: VideoInfo) -> None:
    """Write shots in the format of the suffix, whole or not at all.

    Raises:
        UsageError: there is no such format.
    """
    text = writer_for(path)(shots, info)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def writer_for(path: Path) -> Callable[[Sequence[Shot], VideoInfo], str]:
    """The writer of a format, by the suffix of a file.

    Raises:
        UsageError: there is no such format.
    """
    writers = {".csv": scene_csv, ".edl": edl, ".otio": otio}
    if path.suffix.lower() not in writers:
        raise UsageError(
            path, "no shot list can be written to this kind of file", "name it .csv, .edl or .otio"
        )
    return writers[path.suffix.lower()]


def scene_csv(shots: Sequence[Shot], info: VideoInfo) -> str:
    """PySceneDetect's scene list, with the columns of the shot list that it has not; `--shots` reads it."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow((*SCENE_COLUMNS, *DECISIONS))
    for number, shot in enumerate(shots, 1):
        length = shot.end - shot.start
        rows.writerow((
            number, shot.start + 1, *_times(shot.start, info.rate), shot.end, *_times(shot.end, info.rate),
            length, *_times(length, info.rate), *shot.decisions(),
        ))  # fmt: skip
    return table.getvalue()


def edl(shots: Sequence[Shot], info: VideoInfo) -> str:
    """A CMX 3600 edit list: each shot is a cut from the film to the same place of the film."""
    lines = [f"TITLE: {info.source.stem}", "FCM: NON-DROP FRAME", ""]
    for number, shot in enumerate(shots, 1):
        start, end = (timecode(frame, info.rate) for frame in (shot.start, shot.end))
        lines += [
            f"{number:03d}  AX       V     C        {start} {end} {start} {end}",
            f"* FROM CLIP NAME: {info.source.name}",
        ]
    return "\n".join(lines) + "\n"


def otio(shots: Sequence[Shot], info: VideoInfo) -> str:
    """An OpenTimelineIO timeline with one track, on which each shot is a clip of the film."""
    rate = float(info.rate)

    def range_of(start: int, length: int) -> dict[str, Any]:
        times = ("start_time", start), ("duration", length)
        return {"OTIO_SCHEMA": "TimeRange.1"} | {
            name: {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(value)}
            for name, value in times
        }

    media = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "target_url": info.source.absolute().as_uri(),
        "available_range": range_of(0, shots[-1].end),
    }
    clips = [
        {
            "OTIO_SCHEMA": "Clip.1",
            "name": f"shot {number}",
            "source_range": range_of(shot.start, shot.end - shot.start),
            "media_reference": media,
            "metadata": {"colorcli": {"skip": shot.skip}},
        }
        for number, shot in enumerate(shots, 1)
    ]
    track = {"OTIO_SCHEMA": "Track.1", "name": "V1", "kind": "Video", "children": clips}
    stack = {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": [track]}
    timeline = {"OTIO_SCHEMA": "Timeline.1", "name": info.source.stem, "tracks": stack}
    return json.dumps(timeline, indent=1, ensure_ascii=False) + "\n"


def timecode(frame: int, rate: Fraction) -> str:
    """Non-drop-frame timecode, which counts frames at the rounded rate (SMPTE ST 12-1)."""
    seconds, frames = divmod(frame, round(rate))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _times(frame: int, rate: Fraction) -> tuple[str, str]:
    return clock(frame, rate), f"{float(frame / rate):.3f}"
