"""Hint files: colors that the user supplies, as points in JSON or CSV or as strokes on a transparent PNG.

    [{"x": 120, "y": 80, "color": "#8c1f2f"}, {"x": 300, "y": 15, "color": "skyblue"}]

    x,y,color
    120,80,#8c1f2f
    300,15,135,206,235

x and y are in pixels from the top left corner of the picture as it is displayed. A color is #rrggbb, a CSS
name or r,g,b; only its chroma is used, because the luma is the picture's own. Hints that name a frame are for
film (`video.film_hints`).
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from colorcli.color.condition import Hints
from colorcli.color.pictures import read_layer
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.errors import InputError, UsageError

RADIUS = 2
"""A point becomes a patch of 5x5 pixels at the working size; the network is trained on patches of 1 to 9."""
MIN_COVER = 0.002
"""Share of a working-size pixel above which paint counts: a single dot on a large picture must survive."""
ASPECT_TOLERANCE = 0.02
"""Relative difference in aspect ratio, by rounding, up to which a painted PNG belongs to a picture."""

MOMENTS = ("frame", "time")
"""Names of values that say which frame of a film a hint is for."""

Shape = tuple[int, int]
"""Height, width."""
Row = dict[str, Any]
_BETWEEN, _DECODER = re.compile(r"[\s,]*"), json.JSONDecoder()
"""What parts the entries of a JSON list, and what reads one."""
_REMEDY = "each hint needs x, y and a color: #rrggbb, a name or r,g,b"


@dataclass(frozen=True)
class Point:
    """A color at one place."""

    x: float
    """In pixels from the left edge."""
    y: float
    """In pixels from the top edge."""
    rgb: tuple[int, int, int]
    """0 to 255 each."""


@dataclass(frozen=True)
class Points:
    """The hints of a JSON or CSV file."""

    path: Path
    points: list[Point]

    def on(self, shape: Shape, working_shape: Shape) -> Hints:
        """Draw each point as a small patch; where patches overlap, the later point wins.

        Args:
            shape: of the picture as displayed.
            working_shape: of the hints.

        Raises:
            InputError: a point lies outside the picture.
        """
        hints = Hints(np.zeros((2, *working_shape), np.float32), np.zeros(working_shape, np.float32))
        positions = [self._position(point, shape, working_shape) for point in self.points]
        for radius in (RADIUS, 0):  # the points themselves come last, so that no neighbor's patch covers them
            for (row, column), point in zip(positions, self.points, strict=True):
                patch = tuple(slice(max(0, at - radius), at + radius + 1) for at in (row, column))
                hints.chroma[:, *patch] = _chroma(np.array(point.rgb).reshape(3, 1, 1) / 255)
                hints.mask[patch] = 1
        return hints

    def _position(self, point: Point, shape: Shape, working_shape: Shape) -> tuple[int, int]:
        (height, width), (rows, columns) = shape, working_shape
        if not (0 <= point.x < width and 0 <= point.y < height):
            cause = f"point {point.x:g}, {point.y:g} of {self.path} lies outside its {width}x{height} pixels"
            raise InputError("picture", cause, "count from the top left corner of the picture as displayed")
        return int(point.y * rows / height), int(point.x * columns / width)


@dataclass(frozen=True)
class Strokes:
    """The hints painted on a PNG."""

    path: Path
    pixels: NDArray[Any]
    """RGBA [H, W, 4] in [0, 1], colors multiplied by alpha."""

    def on(self, shape: Shape, working_shape: Shape) -> Hints:
        """Reduce the painted pixels to the working size.

        Args:
            shape: of the picture as displayed.
            working_shape: of the hints.

        Raises:
            InputError: they are painted for a picture of another aspect ratio.
        """
        (height, width), (rows, columns) = self.pixels.shape[:2], shape
        if abs(width * rows / (height * columns) - 1) > ASPECT_TOLERANCE:
            cause = f"{self.path} is {width}x{height}, which does not fit its {columns}x{rows} pixels"
            raise InputError("picture", cause, "paint on a copy of the picture as it is displayed")
        small = cv2.resize(self.pixels, working_shape[::-1], interpolation=cv2.INTER_AREA)
        premultiplied, cover = small[..., :3], small[..., 3]
        rgb = (premultiplied / np.maximum(cover, MIN_COVER)[..., None]).transpose(2, 0, 1)
        return Hints(_chroma(rgb), (cover > MIN_COVER).astype(np.float32))


@dataclass(frozen=True)
class OfFrames:
    """A file whose hints name frames of a film."""

    path: Path

    def on(self, shape: Shape, working_shape: Shape) -> Hints:
        """Raises InputError: it is for no picture."""
        raise InputError(
            "picture", f"{self.path} names frames, so it is for film", "leave out frame and time"
        )


def read_hints(path: Path) -> Points | Strokes | OfFrames:
    """Read a hint file.

    Raises:
        UsageError: it cannot be read, or holds no hints.
    """
    if path.suffix.lower() == ".png":
        return read_strokes(path)
    rows = read_rows(path)
    if any(values.get(name) not in (None, "") for _, values in rows for name in MOMENTS):
        return OfFrames(path)
    return Points(path, [point_of(path, place, values) for place, values in rows])


def read_strokes(path: Path) -> Strokes:
    """Read the hints painted on a PNG.

    Raises:
        UsageError: it cannot be read, or nothing is painted on it.
    """
    _content(path)
    return Strokes(path, _layer(path))


def read_rows(path: Path) -> list[tuple[str, Row]]:
    """The entries of a JSON or CSV file: what each is called in messages, and its values by name.

    Raises:
        UsageError: it cannot be read, or holds no hints.
    """
    readers = {".json": _json_rows, ".csv": _csv_rows}
    reader = readers.get(path.suffix.lower())
    content = _content(path)
    if reader is None:
        raise UsageError(path, "not a hint file", "give a .json, .csv or .png file")
    try:
        rows = list(reader(content))
    except UnicodeDecodeError as error:
        raise UsageError(path, "not UTF-8 text", "save it as UTF-8") from error
    except (ValueError, csv.Error) as error:
        raise UsageError(path, str(error), _REMEDY) from error
    if not rows:
        raise UsageError(path, "holds no hints", "give x, y and color of at least one point")
    return rows


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(path, f"cannot be read ({error.strerror})", "check --hints") from error


def parse_color(text: str) -> tuple[int, int, int]:
    """Read `#rrggbb`, a CSS name or `r,g,b`: R'G'B' of 0 to 255.

    Raises:
        ValueError: it is none of these.
    """
    if "," not in text:
        return ImageColor.getrgb(text.strip())[:3]
    red, green, blue = (int(part) for part in text.split(","))
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"{text!r} is not within 0 to 255")
    return red, green, blue


def _json_rows(content: bytes) -> Iterator[tuple[str, Row]]:
    """Each hint as a mapping, and what it is called in messages."""
    try:
        text = content.decode(json.detect_encoding(content))
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(entries, list):
        raise ValueError("not a list of hints: put them into [ ]")
    for number, (entry, line) in enumerate(zip(entries, _lines_of_entries(text), strict=True), start=1):
        place = f"hint {number} (line {line})"
        if not isinstance(entry, dict):
            raise ValueError(f"{place}: not an object with x, y and color")
        values = dict(entry)
        if "colour" in values:  # the spelling of 0.1.0 still works
            values["color"] = values.pop("colour")
        if isinstance(values.get("color"), list):
            values["color"] = ",".join(map(str, values["color"]))
        yield place, values


def _lines_of_entries(text: str) -> Iterator[int]:
    """The lines, from 1, on which the entries of a JSON list begin."""
    line, at = 1, text.index("[") + 1
    counted = 0
    while True:
        begin = _BETWEEN.match(text, at)
        assert begin is not None
        if text.startswith("]", begin.end()):
            return
        line += text.count("\n", counted, begin.end())
        yield line
        counted = begin.end()
        at = _DECODER.raw_decode(text, counted)[1]


def _csv_rows(content: bytes) -> Iterator[tuple[str, Row]]:
    """The same of a table, whose heading may be left out."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    names = ["x", "y", "color"]
    for number, row in enumerate(reader):
        heading = [name.strip().lower() for name in row]
        if number == 0 and "x" in heading:
            names = ["color" if name == "colour" else name for name in heading]
        elif row:
            values = dict(zip(names, row, strict=False))
            if color := ",".join(row[len(names) - 1 :]):  # an unquoted r,g,b takes three cells
                values[names[-1]] = color
            yield f"line {reader.line_num}", values


def point_of(path: Path, place: str, values: Row) -> Point:
    """The point that an entry of a file describes.

    Raises:
        UsageError: something in it is missing or wrong.
    """
    try:
        return _point(place, values)
    except ValueError as error:
        raise UsageError(path, str(error), _REMEDY) from error


def _point(place: str, values: Row) -> Point:
    """Raises ValueError, which says what is wrong at which place."""
    for name in ("x", "y", "color"):
        if values.get(name) in (None, ""):
            raise ValueError(f"{place}: {name} is missing")
    x, y = (_number(place, name, values[name]) for name in ("x", "y"))
    try:
        return Point(x, y, parse_color(str(values["color"])))
    except ValueError:
        raise ValueError(f"{place}: {values['color']!r} is not a color") from None


def _number(place: str, name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{place}: {name} is not a number: {value!r}") from None


def _layer(path: Path) -> NDArray[Any]:
    """Read the `pixels` of `Strokes`."""
    try:
        pixels = read_layer(path)
    except InputError as error:
        raise UsageError(path, "not a readable PNG", "save it again") from error
    if pixels[..., 3].all():
        raise UsageError(path, "has no transparent background", "paint the hints on a transparent layer")
    if not pixels[..., 3].any():
        raise UsageError(path, "nothing is painted on it", "paint the hints on a transparent layer")
    painted: NDArray[Any] = pixels.astype(np.float32) / np.float32(255)
    painted[..., :3] *= painted[..., 3:]  # otherwise the color of transparent pixels would bleed in
    return painted


def _chroma(rgb: NDArray[Any]) -> Plane:
    return ycbcr_from_rgb(rgb)[1]
