"""`--report`: one self-contained HTML page of every input before and after, and of every failure.

The page is a template (`report.html`) with its data as JSON: names, results, and two small WebP images each,
which the page decodes only when they come into view.
"""

import base64
import csv
import io
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from colorcli.errors import InputError
from colorcli.events import Done, Event, Failed, Note, ShotDone, Sink, Summary, json_text
from colorcli.files import atomic_write
from colorcli.video.timecode import clock

TEMPLATE = Path(__file__).parent / "report.html"
PLACEHOLDER = "{{data}}"
SIDE, MANY, SIDE_OF_MANY = 480, 500, 240
"""Pixels of a thumbnail's long side; those after the first `MANY` are smaller, so that 5,000 stay usable."""
QUALITY = 60
POSITION = 3
"""A film is shown by the frame at this fraction of its length (a third), past titles and leaders."""


class HtmlReport:
    """A sink and context manager that writes the page on exit, however the run ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[Future[dict[str, Any]] | dict[str, Any]] = []
        self._notes: list[dict[str, str]] = []
        self._summary: Summary | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> "HtmlReport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._thread:
            entries = [entry if isinstance(entry, dict) else entry.result() for entry in self._entries]
        data = {
            "entries": _in_order(entries),
            "notes": self._notes,
            "seconds": self._summary.seconds if self._summary else None,
        }
        # "<" could end the script element; escaped it is the same JSON.
        text = json_text(data).replace("<", "\\u003c")
        with atomic_write(self._path) as partial:
            partial.write_text(TEMPLATE.read_text("utf-8").replace(PLACEHOLDER, text), "utf-8")

    def __call__(self, event: Event) -> None:
        match event:
            case Done():
                side = SIDE if len(self._entries) < MANY else SIDE_OF_MANY
                self._entries.append(self._thread.submit(_entry, event, side))
            case ShotDone():
                self._entries.append(_shot(event))
            case Failed():
                entry = {
                    "name": event.input,
                    "status": "failed",
                    "cause": event.cause,
                    "remedy": event.remedy,
                }
                self._entries.append(entry)
            case Note():
                self._notes.append({"name": event.input, "message": event.message})
            case Summary():
                self._summary = event


def _in_order(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries as they came, except that the shots of a film come first, in their order."""
    places: dict[str, int] = {}
    for entry in entries:
        places.setdefault(entry["name"], len(places))
    return sorted(
        entries,
        key=lambda entry: (places[entry["name"]], entry["shot"]["start"] if "shot" in entry else inf),
    )


@contextmanager
def report_page(path: Path | None, sink: Sink) -> Iterator[Sink]:
    """The sink, with an HTML page beside it if `path` is given."""
    if path is None:
        yield sink
        return
    with HtmlReport(path) as page:

        def both(event: Event) -> None:
            page(event)
            sink(event)

        yield both


def _entry(event: Done, side: int) -> dict[str, Any]:
    before, after = (_thumbnail(Path(name), side) for name in (event.input, event.output))
    return {
        "name": event.input, "output": event.output, "status": event.action, "before": before, "after": after,
        "facts": event.facts,
    }  # fmt: skip


def _shot(event: ShotDone) -> dict[str, Any]:
    """A card for a shot of a film, with the line that a shot list has for it."""
    time = clock(event.start, Fraction(event.rate))
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow((event.start, event.end, time, *event.decisions))
    return {
        "name": event.input, "status": "shot", "before": event.before, "after": event.after or event.before,
        "shot": {
            "number": event.number, "start": event.start, "end": event.end, "time": time,
            "shown": event.shown, "decided": event.decided, "certainty": event.certainty, "size": event.size,
            "line": line.getvalue(),
        },
    }  # fmt: skip


def _thumbnail(path: Path, side: int) -> str | None:
    """A small WebP of an image or film as base64; None if it cannot be shown."""
    import cv2

    from colorcli.color.pictures import limited, read_picture
    from colorcli.video.formats import VIDEO_SUFFIXES

    try:
        film = path.suffix.lower() in VIDEO_SUFFIXES
        rgb = limited(_frame(path), side) if film else read_picture(path, long_side=side)
    except (InputError, OSError, ValueError, IndexError, StopIteration):
        return None
    _, coded = cv2.imencode(
        ".webp", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, QUALITY]
    )
    return base64.b64encode(coded.tobytes()).decode()


def _frame(path: Path) -> Any:
    """A frame of a film as RGB [h, w, 3]; PyAV's errors are `OSError`s and `ValueError`s."""
    import av

    with av.open(str(path)) as film:
        if film.duration:
            film.seek(film.duration // POSITION)
        return next(film.decode(video=0)).to_ndarray(format="rgb24")
