"""Frames that somebody colored, carried through their shots in both directions.

A first reading of the film follows the motion from each reference to its neighbors, until a cut, the next
reference or nothing is recognized any more, and spools what colors arrive at each frame. Between two
references each counts as far as it explains the frame, the nearer one more. In the second reading these
colors are hints to the network and stand where they are sure; elsewhere the network's own take over.
"""

import re
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import BT601, Plane, rematrix, ycbcr_from_rgb
from colorcli.errors import InputError, UsageError
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter
from colorcli.video.info import VideoInfo
from colorcli.video.temporal_colorizer import is_cut
from colorcli.video.timecode import parse_timecode

REACH = 3000
"""Frames that a reference is carried back at most: two minutes, and what is kept in memory for it."""
LOST = 0.03
"""Share of a frame still explained below which a trail is given up."""
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}
TIMECODE = re.compile(r"(\d{1,2})[-_.:h](\d{2})[-_.:m](\d{2})(?:([-_:])(\d{2})|\.(\d{1,3}))?$")
SCALE = 254
"""Chroma in [-0.5, 0.5] and trust in [0, 1] are spooled as bytes."""


@dataclass(frozen=True)
class Reference:
    frame: int
    path: Path


def find_references(folder: Path, rate: Fraction) -> list[Reference]:
    """The pictures in a folder, by the frames they show: `shot2_000123.png` or `00-01-02-12.png`.

    Raises:
        UsageError: no such folder, or no picture in it names a frame.
    """
    if not folder.is_dir():
        raise UsageError(folder, "is no folder", "give --references a folder of colored frames")
    found = {}
    for path in sorted(folder.iterdir()):
        number = _frame_of(path.stem, rate) if path.suffix.lower() in SUFFIXES else None
        if number is not None:
            found[number] = Reference(number, path)
    if not found:
        raise UsageError(
            folder, "holds no picture named by a frame", "name them 000123.png or 00-01-02-12.png"
        )
    return [found[number] for number in sorted(found)]


def _frame_of(stem: str, rate: Fraction) -> int | None:
    """The frame that a name means: a timecode, seconds to the thousandth, or the last number in it."""
    if found := TIMECODE.search(stem):
        hours, minutes, seconds, _, frames, decimals = found.groups()
        clock = f"{hours}:{minutes}:{seconds}"
        moment = parse_timecode(f"{clock}:{frames}" if frames else f"{clock}.{decimals or 0}", rate)
        return moment.frame if moment.frame is not None else round((moment.seconds or 0) * rate)
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else None


class Carried:
    """Colors that arrive at frames from references, spooled to disk. A context manager."""

    def __init__(self, working: tuple[int, int]) -> None:
        self._working = working
        self._shape: tuple[int, int] = (0, 0)
        self._places: dict[int, int] = {}
        self._spool: IO[bytes] = tempfile.TemporaryFile(prefix="colorcli-")  # noqa: SIM115 - closed in __exit__

    def add(self, frame: int, chroma: Plane, trust: Plane, weight: float) -> None:
        """Put in what arrives at a frame: chroma [2, h, w], trust [h, w]; joined with what is there already.

        `weight` is how much it counts against that, 0.5 for just as much.
        """
        self._shape = trust.shape
        if frame in self._places:
            other, other_trust = self._read(frame)
            mine, others = trust * np.float32(weight), other_trust * np.float32(1 - weight)
            whole = np.maximum(mine + others, np.float32(1e-6))
            chroma = np.divide(chroma * mine + other * others, whole, dtype=np.float32)
            trust = np.maximum(trust, other_trust)
        packed = np.concatenate([chroma + 0.5, trust[None]]) * SCALE
        place = self._places.setdefault(frame, len(self._places))
        self._spool.seek(place * packed.size)
        self._spool.write(np.rint(packed).astype(np.uint8).tobytes())

    def __call__(self, frame: int, small: Plane) -> Hints | None:
        """Hints for a frame at the working size, None where no reference reaches."""
        if frame not in self._places:
            return None
        chroma, trust = self._read(frame)
        size = self._working[::-1]
        grown = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (*chroma, trust)]
        return Hints(np.stack(grown[:2]), grown[2])

    def _read(self, frame: int) -> tuple[Plane, Plane]:
        size = 3 * self._shape[0] * self._shape[1]
        self._spool.seek(self._places[frame] * size)
        stored = np.frombuffer(self._spool.read(size), np.uint8).reshape(3, *self._shape)
        planes = stored.astype(np.float32) / np.float32(SCALE)
        return planes[:2] - np.float32(0.5), planes[2]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()


def carry(
    references: list[Reference], smalls: Iterator[tuple[int, Plane]], info: VideoInfo, into: Carried
) -> list[int]:
    """Read a film's frames (number and luma at working size) and carry the references through them.

    Returns the references' frames that the film does not have.

    Raises:
        InputError: a reference cannot be read.
    """
    waiting = {reference.frame: reference for reference in references}
    meter = FlowMeter()
    back: deque[tuple[int, FlowImage]] = deque(maxlen=REACH)
    forward: _Forward | None = None
    for number, small in smalls:
        image = FlowImage.of(small)
        if back:
            before = back[-1][1]
            to_before, _, trust, _ = meter.between(before, image)
            if is_cut(before, image, to_before, trust):
                back.clear()
                forward = None
            elif forward is not None:
                forward = forward.onto(number, image, to_before, trust, into)
        back.append((number, image))
        if number in waiting:
            chroma = _chroma_of(waiting.pop(number).path, info, small)
            start = forward.origin if forward is not None else None
            _carry_back(list(back), chroma, start, into)
            forward = _Forward(number, image, chroma, AccumulatedFlow.start(image))
    return sorted(waiting)


@dataclass(frozen=True)
class _Forward:
    """A reference on its way onwards."""

    origin: int
    image: FlowImage
    chroma: Plane
    trail: AccumulatedFlow

    def onto(
        self, number: int, image: FlowImage, places: Plane, trust: Plane, into: Carried
    ) -> "_Forward | None":
        trail = self.trail.extend(places, trust, self.image, image)
        if trail.coverage < LOST:
            return None
        into.add(number, trail.bring(self.chroma), trail.trust, 1.0)
        return _Forward(self.origin, self.image, self.chroma, trail)


def _carry_back(frames: list[tuple[int, FlowImage]], chroma: Plane, start: int | None, into: Carried) -> None:
    """From the last of some frames back to the first, or to the reference at `start`."""
    number, origin = frames[-1]
    into.add(number, chroma, np.ones_like(origin.image, np.float32), 1.0)
    trail, meter = AccumulatedFlow.start(origin), FlowMeter()
    for (before, image), (_, following) in zip(frames[-2::-1], frames[:0:-1], strict=True):
        if start is not None and before <= start:
            return
        _, onwards, _, trust = meter.between(image, following)
        trail = trail.extend(onwards, trust, origin, image)
        if trail.coverage < LOST:
            return
        nearness = 1.0 if start is None else (before - start) / (number - start)
        into.add(before, trail.bring(chroma), trail.trust, nearness)


def _chroma_of(path: Path, info: VideoInfo, small: Plane) -> Plane:
    """A reference's chroma, BT.601, at the flow's size."""
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(path, "cannot be read as a picture", "save it as PNG")
    height, width = FlowImage.of(small).image.shape
    rgb = (
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1].astype(np.float32) / 255
    )
    _, chroma = ycbcr_from_rgb(rgb.transpose(2, 0, 1), info.matrix)
    return rematrix(chroma, info.matrix, BT601)
