"""What `colorcli touch` works on: a picture, or the shots of a film by a frame of each."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.hints import Point, Points, parse_color, read_hints
from colorcli.color.pictures import limited, read_picture
from colorcli.color.ycbcr import luma_of
from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import ColorcliError, UsageError
from colorcli.files import atomic_write, check_folder, check_writable
from colorcli.images.colorize import colorize_array
from colorcli.jobs.job import Kind
from colorcli.jobs.walk import kind_by_content, kind_by_suffix
from colorcli.options import ColorOptions, RunOptions, VideoOptions
from colorcli.video.preflight import CheckedVideo, open_to_look
from colorcli.video.survey import find_shots, rgb_of
from colorcli.video.timecode import clock

LONG_SIDE = 1280
"""Pixels at which pictures are shown and recolored: at this size a click is answered at once."""
HINTS = "hints.json"
"""Name of the hint file in the folder of a film's references."""

Hint = Mapping[str, Any]
"""`x`, `y` and `color` as in a hint file."""


@dataclass(frozen=True)
class TouchFrame:
    """A picture that can be touched."""

    number: int
    """Of the frame; 0 for a picture."""
    label: str
    size: tuple[int, int]
    """Width and height in pixels, in which hints count."""
    file: Path
    """The picture in gray, `LONG_SIDE` at most."""


class Subject(ABC):
    """A source with its frames and its hints."""

    is_film: bool
    output: Path
    """Where hints are saved."""
    complete = True
    """Whether `frames` has all frames."""

    def __init__(self, source: Path, predictor: ChromaPredictor, folder: Path) -> None:
        """`folder`: for temporary files."""
        self.name = source.name
        self.frames: list[TouchFrame] = []
        self.problem = ""
        """Why there are no more frames."""
        self._predictor, self._folder = predictor, folder
        self._lock = threading.Lock()  # an engine must not be used from two threads at once

    @abstractmethod
    def saved(self) -> dict[int, list[Hint]]:
        """The hints of an earlier session, by frame.

        Raises:
            UsageError: what is there cannot be read.
        """

    @abstractmethod
    def save(self, hints: Mapping[int, Sequence[Hint]]) -> str:
        """Save hints by frame; the words for a command line that uses them.

        Raises:
            ValueError, KeyError, TypeError: a hint is damaged or lies outside the picture; nothing is saved.
        """

    def frame(self, number: int) -> TouchFrame:
        """The frame with this number.

        Raises:
            ValueError: there is none.
        """
        found = next((frame for frame in self.frames if frame.number == number), None)
        if found is None:
            raise ValueError(f"no frame {number}")
        return found

    def points(self, number: int, hints: Sequence[Hint]) -> list[Point]:
        """The hints of a frame.

        Raises:
            ValueError, KeyError, TypeError: one of them is damaged or lies outside the picture.
        """
        width, height = self.frame(number).size
        found = [Point(float(one["x"]), float(one["y"]), parse_color(one["color"])) for one in hints]
        for point in found:
            if not (0 <= point.x < width and 0 <= point.y < height):
                raise ValueError(f"{point.x:g}, {point.y:g} lies outside the {width}x{height} pixels")
        return found

    def colorized(self, number: int, hints: Sequence[Hint]) -> NDArray[np.uint8]:
        """The picture with these hints, RGB [H, W, 3].

        Raises:
            ValueError, KeyError, TypeError: a hint is damaged or lies outside the picture.
            ColorcliError: the model fails.
        """
        frame = self.frame(number)
        gray = cv2.imread(str(frame.file), cv2.IMREAD_GRAYSCALE)
        assert gray is not None
        (width, height), (rows, columns) = frame.size, gray.shape
        points = [
            replace(point, x=point.x * columns / width, y=point.y * rows / height)
            for point in self.points(number, hints)
        ]
        sources = ColorSources(Points(self.output, points)) if points else ColorSources()
        with self._lock:
            return colorize_array(gray, self._predictor, sources)

    def _add(self, number: int, label: str, rgb: NDArray[np.uint8]) -> None:
        height, width = rgb.shape[:2]
        small = limited(rgb, LONG_SIDE)
        gray = np.rint(luma_of(small.transpose(2, 0, 1).astype(np.float32))).astype(np.uint8)
        file = self._folder / f"{number}.png"
        cv2.imwrite(str(file), gray, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        self.frames.append(TouchFrame(number, label, (width, height), file))


class PictureSubject(Subject):
    """A picture; its hints are a file for `run --hints`."""

    is_film = False

    def __init__(self, source: Path, output: Path | None, predictor: ChromaPredictor, folder: Path) -> None:
        super().__init__(source, predictor, folder)
        self.output = output or source.with_suffix(".hints.json")
        if self.output.suffix.lower() != ".json":
            raise UsageError(self.output, "hints of a picture are saved as JSON", "name it .json")
        check_writable(self.output, "-o")
        self._add(0, source.name, read_picture(source))

    def saved(self) -> dict[int, list[Hint]]:
        if not self.output.exists():
            return {}
        found = read_hints(self.output)
        if not isinstance(found, Points):
            raise UsageError(self.output, "holds no hints of a picture", "name another file with -o")
        return {0: _entries(found.points)}

    def save(self, hints: Mapping[int, Sequence[Hint]]) -> str:
        _write(self.output, _entries(self.points(0, hints.get(0, []))))
        return f"--hints {self.output}"


class FilmSubject(Subject):
    """A film; each frame with hints is saved as a reference, with the hints beside them."""

    is_film = True
    complete = False

    def __init__(self, source: Path, output: Path | None, predictor: ChromaPredictor, folder: Path) -> None:
        super().__init__(source, predictor, folder)
        self.output = output or source.with_suffix(".refs")
        check_folder(self.output, "-o")

    def find_frames(self, video: CheckedVideo, stop: threading.Event) -> None:
        """Read the film, and add a frame of each shot that is gray."""
        try:
            for number, shot in enumerate(find_shots(video, lambda event: _raise_if(stop)), 1):
                if not shot.keeps_color:
                    label = f"shot {number}, {clock(shot.start, video.info.rate)}"
                    self._add(shot.shown.frame.number, label, rgb_of(shot.shown, video.converter()))
        except _StoppedError:
            pass
        except ColorcliError as error:
            self.problem = str(error)
        self.complete = True

    def saved(self) -> dict[int, list[Hint]]:
        file = self.output / HINTS
        found: dict[int, list[Hint]] = {}
        try:
            for entry in json.loads(file.read_text("utf-8")) if file.exists() else []:
                found.setdefault(entry.pop("frame"), []).append(entry)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            cause = f"cannot be read ({error})"
            raise UsageError(file, cause, "correct it, or name another folder with -o") from error
        return found

    def save(self, hints: Mapping[int, Sequence[Hint]]) -> str:
        saved, numbers = self.saved(), {frame.number for frame in self.frames}
        touched: dict[int, Sequence[Hint]] = {}
        for number, own in hints.items():
            # A frame that is not shown, or not yet, keeps what it has.
            is_left = number not in numbers and own == saved.get(number)
            if own:
                touched[number] = own if is_left else _entries(self.points(number, own))
        self.output.mkdir(parents=True, exist_ok=True)
        for number in saved.keys() - touched.keys():
            self._reference(number).unlink(missing_ok=True)
        for number in numbers & touched.keys():
            own = touched[number]
            rgb = self.colorized(number, own)
            with atomic_write(self._reference(number)) as partial:
                _, coded = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
                partial.write_bytes(coded.tobytes())
        _write(
            self.output / HINTS,
            [{"frame": number, **hint} for number, own in touched.items() for hint in own],
        )
        return f"--references {self.output}"

    def _reference(self, number: int) -> Path:
        return self.output / f"{number:06d}.png"


@contextmanager
def open_subject(
    source: Path, output: Path | None, predictor: ChromaPredictor, folder: Path
) -> Iterator[Subject]:
    """Open a picture or a film, whose shots are found in the background."""
    if (kind_by_suffix(source) or kind_by_content(source)) is not Kind.VIDEO:
        yield PictureSubject(source, output, predictor, folder)
        return
    subject = FilmSubject(source, output, predictor, folder)
    options = RunOptions(ColorOptions(), VideoOptions(tonemap=True))
    stop = threading.Event()
    with open_to_look(source, options) as video:
        thread = threading.Thread(target=subject.find_frames, args=(video, stop))
        thread.start()
        try:
            yield subject
        finally:
            stop.set()
            thread.join()


class _StoppedError(Exception):
    """The user has ended the program."""


def _raise_if(stop: threading.Event) -> None:
    if stop.is_set():
        raise _StoppedError


def _entries(points: Sequence[Point]) -> list[Hint]:
    """Points as a hint file has them."""
    found: list[Hint] = []
    for point in points:
        x, y = (int(value) if value.is_integer() else value for value in (float(point.x), float(point.y)))
        found.append({"x": x, "y": y, "color": "#{:02x}{:02x}{:02x}".format(*point.rgb)})
    return found


def _write(path: Path, hints: Sequence[Hint]) -> None:
    text = "[\n" + ",\n".join(json.dumps(dict(hint)) for hint in hints) + "\n]\n"
    with atomic_write(path) as partial:
        partial.write_text(text, "utf-8")
