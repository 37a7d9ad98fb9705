"""Hints for film: the hint file of pictures, with the frame or the time of each point.

    [{"frame": 120, "x": 310, "y": 420, "color": "#3a2f6b"}, {"time": "00:01:02.5", "strokes": "hat.png"}]

    frame,x,y,color
    120,310,420,#3a2f6b

`time` is written like `--start`. x and y are in pixels of the film. `strokes` names a transparent PNG with
painted pixels, in the folder of the hint file.

At its frame, the network colors the picture with the hints. The colors that it gives to the regions of the
hints are then known, and are carried through the shot (`propagation`).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.hints import (
    MOMENTS,
    Point,
    Points,
    Row,
    Shape,
    Strokes,
    point_of,
    read_rows,
    read_strokes,
)
from colorcli.color.propagation import influence
from colorcli.color.ycbcr import Plane
from colorcli.errors import UsageError
from colorcli.video.info import VideoInfo
from colorcli.video.timecode import parse_timecode

SURE_INFLUENCE, LEAST_INFLUENCE = 0.5, 0.3
"""Influence of hints (`color.propagation`) from which a color counts in full, and at all: it is high within
the region of a hint. Where something small counts, as on a neck, the flow takes it to the face."""

Predict = Callable[[Plane, Hints | None], Plane]
"""Luma [h, w] and hints -> chroma [2, h, w]."""


@dataclass(frozen=True)
class FrameHints:
    """The hints of one frame."""

    frame: int
    name: str
    """File and entry, as messages have them."""
    shape: Shape
    """Height and width of the film."""
    given: tuple[Points | Strokes, ...]

    def on(self, working: Shape) -> Hints:
        """All hints of the frame at the working size; where they overlap, the later ones win."""
        first, *others = (each.on(self.shape, working) for each in self.given)
        for other in others:
            first = other.over(first)
        return first

    def colors(self, small: Plane, base: Hints | None, predict: Predict) -> Hints:
        """What becomes known of the frame by its hints.

        Args:
            small: luma [h, w] in [0, 1] at the working size.
            base: what else is known of the frame.

        Returns:
            The network's colors with the hints; the mask says where the hints decide them.
        """
        own = self.on(small.shape)
        reached = influence(own.mask, small) - np.float32(LEAST_INFLUENCE)
        reached /= np.float32(SURE_INFLUENCE - LEAST_INFLUENCE)
        return Hints(predict(small, own.over(base)), np.clip(reached, 0, 1))

    def digest(self) -> str:
        content = hashlib.sha256()
        for each in self.given:
            content.update(repr(each.points).encode() if isinstance(each, Points) else each.pixels.tobytes())
        return content.hexdigest()


def read_film_hints(path: Path, info: VideoInfo) -> dict[int, FrameHints]:
    """The hints of each frame that has some.

    Raises:
        UsageError: the file cannot be read, or an entry is wrong; the message names it.
    """
    if path.suffix.lower() == ".png":
        remedy = 'name it in a JSON file: [{"frame": 120, "strokes": "' + path.name + '"}]'
        raise UsageError(path, "does not say to which frame of the film it belongs", remedy)
    entries: dict[int, list[tuple[str, Point | Strokes]]] = {}
    for place, values in read_rows(path):
        frame = _frame(path, place, values, info)
        entries.setdefault(frame, []).append((place, _hint(path, place, values, info)))
    shape = (info.height, info.width)
    return {
        frame: FrameHints(frame, f"{path}: {found[0][0]}", shape, _given(path, [one for _, one in found]))
        for frame, found in sorted(entries.items())
    }


def _given(path: Path, found: list[Point | Strokes]) -> tuple[Points | Strokes, ...]:
    strokes = [one for one in found if isinstance(one, Strokes)]
    points = [one for one in found if isinstance(one, Point)]
    return (*strokes, *([Points(path, points)] if points else []))


def _frame(path: Path, place: str, values: Row, info: VideoInfo) -> int:
    given: Mapping[str, str] = {
        name: str(values[name]).strip() for name in MOMENTS if values.get(name) not in (None, "")
    }
    if len(given) != 1:
        cause = "frame or time is missing" if not given else "frame and time are both given"
        raise UsageError(path, f"{place}: {cause}", "each hint for film needs one of them")
    ((name, text),) = given.items()
    if name == "frame":
        if not text.isdecimal():
            raise UsageError(path, f"{place}: frame is not a number: {text!r}", "count frames from 0")
        return int(text)
    try:
        time = parse_timecode(text, info.rate)
    except UsageError as error:
        raise UsageError(path, f"{place}: {text!r} {error.cause}", error.remedy) from error
    return time.frame if time.frame is not None else round((time.seconds or 0) * info.rate)


def _hint(path: Path, place: str, values: Row, info: VideoInfo) -> Point | Strokes:
    if name := str(values.get("strokes") or "").strip():
        strokes = read_strokes(path.parent / name)
        if strokes.pixels.shape[:2] != (info.height, info.width):
            size = f"{strokes.pixels.shape[1]}x{strokes.pixels.shape[0]}"
            cause = f"{place}: {name} is {size}, and the film {info.width}x{info.height} pixels"
            raise UsageError(path, cause, "paint on a frame of the film")
        return strokes
    point = point_of(path, place, values)
    if not (0 <= point.x < info.width and 0 <= point.y < info.height):
        cause = f"{place}: {point.x:g}, {point.y:g} lies outside the film's {info.width}x{info.height} pixels"
        raise UsageError(path, cause, "count from the top left corner")
    return point
