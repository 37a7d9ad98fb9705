"""Frames that a person has colorized, propagated through their shots in both directions.

A first pass over the video follows the optical flow from each reference to the frames around it, up to a cut,
the next reference, or where too little of the reference is visible, and stores the colors that arrive at each
frame. Between two references both contribute by how well each explains the frame and by nearness. In the
second pass these colors are hints to the network, and final where they are certain; elsewhere the network's
apply.
"""

import re
import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Self

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.pictures import SUFFIXES, read_picture
from colorcli.color.ycbcr import BT601, Plane, rematrix, ycbcr_from_rgb
from colorcli.errors import UsageError
from colorcli.video.cuts import is_cut
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, Positions
from colorcli.video.info import VideoInfo
from colorcli.video.reference_pictures import is_unchanged
from colorcli.video.timecode import parse_timecode

FARTHEST_BACK = 3000
"""Frames that a reference is propagated backward at most: two minutes; so many flow images are in memory."""
LEAST_COVERAGE = 0.03
"""Share of a frame explained by the reference below which propagation ends."""
_TIMECODE = re.compile(r"(\d{1,2})[-_.:h](\d{2})[-_.:m](\d{2})(?:([-_:])(\d{2})|\.(\d{1,3}))?$")
_SCALE = 254
"""Chroma in [-0.5, 0.5] and trust in [0, 1] are stored as bytes."""


@dataclass(frozen=True)
class Reference:
    """A colorized picture of one frame."""

    frame: int
    path: Path


def find_references(folder: Path, rate: Fraction) -> list[Reference]:
    """The pictures in a folder, by the frames in their names: `shot2_000123.png` or `00-01-02-12.png`.

    Frames that `colorcli refs` has written and nobody has changed since are not among them.

    Raises:
        UsageError: the folder does not exist, no picture in it names a frame, or none was changed.
    """
    if not folder.is_dir():
        raise UsageError(folder, "is not a folder", "give --references a folder of colorized frames")
    found = {}
    for path in sorted(folder.iterdir()):
        number = _frame_number(path.stem, rate) if path.suffix.lower() in SUFFIXES else None
        if number is not None:
            found[number] = Reference(number, path)
    if not found:
        cause = "contains no picture whose name gives a frame"
        raise UsageError(folder, cause, "name them 000123.png or 00-01-02-12.png")
    changed = [found[number] for number in sorted(found) if not is_unchanged(found[number].path)]
    if not changed:
        cause = "contains only frames as `colorcli refs` wrote them"
        raise UsageError(folder, cause, "paint over one, or leave --references out")
    return changed


def _frame_number(stem: str, rate: Fraction) -> int | None:
    """The frame that a name gives: a timecode, seconds to the thousandth, or the last number in it."""
    if found := _TIMECODE.search(stem):
        hours, minutes, seconds, _, frames, decimals = found.groups()
        clock = f"{hours}:{minutes}:{seconds}"
        point = parse_timecode(f"{clock}:{frames}" if frames else f"{clock}.{decimals or 0}", rate)
        return point.frame if point.frame is not None else round((point.seconds or 0) * rate)
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else None


class PropagatedColors:
    """Colors that references give to frames, in a temporary file. A context manager and a source of hints."""

    def __init__(self, working: tuple[int, int]) -> None:
        """`working`: height and width of the hints."""
        self._working = working
        self._shape: tuple[int, int] = (0, 0)
        self._slots: dict[int, int] = {}
        """Frame number -> place in the file."""
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="colorcli-")  # noqa: SIM115 - closed in __exit__

    def add(self, frame: int, chroma: Plane, trust: Plane, weight: float) -> None:
        """Add the colors that a reference gives to a frame, mixing them with what another one gave.

        Args:
            chroma: [2, h, w].
            trust: [h, w] in [0, 1].
            weight: how much they count against the other reference's, 0.5 for equally much.
        """
        self._shape = trust.shape
        if frame in self._slots:
            other, other_trust = self._read(frame)
            share, other_share = trust * np.float32(weight), other_trust * np.float32(1 - weight)
            whole = np.maximum(share + other_share, np.float32(1e-6))
            chroma = np.divide(chroma * share + other * other_share, whole, dtype=np.float32)
            trust = np.maximum(trust, other_trust)
        packed = np.concatenate([chroma + 0.5, trust[None]]) * _SCALE
        slot = self._slots.setdefault(frame, len(self._slots))
        self._file.seek(slot * packed.size)
        self._file.write(np.rint(packed).astype(np.uint8).tobytes())

    def __call__(self, frame: int, small: Plane) -> Hints | None:
        """Hints for a frame at the working size, None where no reference reaches."""
        if frame not in self._slots:
            return None
        chroma, trust = self._read(frame)
        size = self._working[::-1]
        planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (*chroma, trust)]
        return Hints(np.stack(planes[:2]), planes[2])

    def _read(self, frame: int) -> tuple[Plane, Plane]:
        size = 3 * self._shape[0] * self._shape[1]
        self._file.seek(self._slots[frame] * size)
        stored = np.frombuffer(self._file.read(size), np.uint8).reshape(3, *self._shape)
        planes = stored.astype(np.float32) / np.float32(_SCALE)
        return planes[:2] - np.float32(0.5), planes[2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()


def propagate_references(
    references: list[Reference], lumas: Iterable[tuple[int, Plane]], info: VideoInfo, colors: PropagatedColors
) -> list[int]:
    """Propagate references through a video into `colors`.

    Args:
        lumas: each frame's number and luma [h, w] at the working size, in order.

    Returns:
        Numbers of the references' frames that the video does not have.

    Raises:
        InputError: a reference cannot be read.
    """
    waiting = {reference.frame: reference for reference in references}
    meter = FlowMeter()
    shot: deque[tuple[int, FlowImage]] = deque(maxlen=FARTHEST_BACK)
    forward: _ForwardPropagation | None = None
    for number, small in lumas:
        image = FlowImage.of(small)
        if shot:
            previous = shot[-1][1]
            backward, _, trust, _ = meter.between(previous, image)
            if is_cut(previous, image, backward, trust):
                shot.clear()
                forward = None
            elif forward is not None:
                forward = forward.advance(number, image, backward, trust, colors)
        shot.append((number, image))
        if number in waiting:
            chroma = _reference_chroma(waiting.pop(number).path, info, image)
            _propagate_back(list(shot), chroma, forward.frame if forward is not None else None, colors)
            forward = _ForwardPropagation(number, image, chroma, AccumulatedFlow.start(image))
    return sorted(waiting)


@dataclass(frozen=True)
class _ForwardPropagation:
    """A reference on its way forward."""

    frame: int
    """The reference's frame number."""
    image: FlowImage
    chroma: Plane
    flow: AccumulatedFlow
    """From the current frame to the reference."""

    def advance(
        self, number: int, image: FlowImage, backward: Positions, trust: Plane, colors: PropagatedColors
    ) -> "_ForwardPropagation | None":
        """Propagate to the next frame; None if too little of the reference is visible there."""
        flow = self.flow.extend(backward, trust, self.image, image)
        if flow.coverage < LEAST_COVERAGE:
            return None
        colors.add(number, flow.warp(self.chroma), flow.trust, 1.0)
        return _ForwardPropagation(self.frame, self.image, self.chroma, flow)


def _propagate_back(
    shot: list[tuple[int, FlowImage]], chroma: Plane, previous: int | None, colors: PropagatedColors
) -> None:
    """Propagate from the last frame of a shot back to the first, or to the `previous` reference's frame."""
    number, reference = shot[-1]
    colors.add(number, chroma, np.ones_like(reference.image, np.float32), 1.0)
    flow, meter = AccumulatedFlow.start(reference), FlowMeter()
    for (frame, image), (_, following) in zip(shot[-2::-1], shot[:0:-1], strict=True):
        if previous is not None and frame <= previous:
            return
        _, forward, _, trust = meter.between(image, following)
        flow = flow.extend(forward, trust, reference, image)
        if flow.coverage < LEAST_COVERAGE:
            return
        weight = 1.0 if previous is None else (frame - previous) / (number - previous)
        colors.add(frame, flow.warp(chroma), flow.trust, weight)


def _reference_chroma(path: Path, info: VideoInfo, image: FlowImage) -> Plane:
    """A reference's BT.601 chroma [2, h, w] at the flow's size."""
    size = image.image.shape[::-1]
    rgb = cv2.resize(read_picture(path), size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    _, chroma = ycbcr_from_rgb(rgb.transpose(2, 0, 1), info.matrix)
    return rematrix(chroma, info.matrix, BT601)
