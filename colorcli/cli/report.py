"""`--report`: one page, complete in itself, of every picture before and after, and of every failure.

The page is a template (`report.html`) with the data put in as JSON: names, what became of them, and two small
WebP pictures each, which the page turns into images only when they come into view.
"""

import base64
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from colorcli.errors import InputError
from colorcli.events import Done, Event, Failed, Note, Summary
from colorcli.files import atomic_write

TEMPLATE = Path(__file__).parent / "report.html"
PLACE = "{{data}}"
SIDE, MANY, SIDE_OF_MANY = 480, 500, 240
"""Pixels of a small picture's long side: the first `MANY` are larger, the rest keep 5,000 within reach."""
QUALITY = 60
MIDDLE = 3
"""Films are shown by the frame at a third of their length, past titles and leaders."""


class HtmlReport:
    """A sink and context manager; the page is written on leaving, however the run has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[Future[dict[str, Any]] | dict[str, Any]] = []
        self._notes: list[dict[str, str]] = []
        self._summary: Summary | None = None
        self._maker = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> "HtmlReport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._maker:
            entries = [entry if isinstance(entry, dict) else entry.result() for entry in self._entries]
        data = {
            "entries": entries,
            "notes": self._notes,
            "seconds": self._summary.seconds if self._summary else None,
        }
        # In a script element "<" could end it; escaped it is still the same JSON.
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        with atomic_write(self._path) as partial:
            partial.write_text(TEMPLATE.read_text("utf-8").replace(PLACE, text), "utf-8")

    def __call__(self, event: Event) -> None:
        match event:
            case Done():
                side = SIDE if len(self._entries) < MANY else SIDE_OF_MANY
                self._entries.append(self._maker.submit(_entry, event, side))
            case Failed():
                told = {"name": event.input, "status": "failed", "cause": event.cause, "remedy": event.remedy}
                self._entries.append(told)
            case Note():
                self._notes.append({"name": event.input, "message": event.message})
            case Summary():
                self._summary = event


def _entry(event: Done, side: int) -> dict[str, Any]:
    before, after = (_picture(Path(name), side) for name in (event.input, event.output))
    return {
        "name": event.input, "output": event.output, "status": event.action, "before": before, "after": after,
        "facts": event.facts,
    }  # fmt: skip


def _picture(path: Path, side: int) -> str | None:
    """A small WebP of a still or film as base64, None where there is nothing to be shown."""
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
            film.seek(film.duration // MIDDLE)
        return next(film.decode(video=0)).to_ndarray(format="rgb24")
