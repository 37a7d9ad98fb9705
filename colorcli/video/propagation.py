"""Colors that a person gave for single frames, propagated through their shots in both directions.

A first pass over the video follows the optical flow from each given frame to the frames around it, up to a
cut or where too little of what was given is visible, and stores the colors that arrive at each frame. Between
two given frames both contribute by how well each explains the frame and by nearness; where one says nothing,
the other does. In the second pass these colors are hints to the network, and final where they are certain;
elsewhere the network's apply.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Self

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter
from colorcli.video.frames import Frame

FARTHEST_BACK = 3000
"""Frames that colors are propagated backward at most: two minutes; so many flow images are in memory."""
LEAST_COVERAGE = 0.03
"""Share of what was given that must be visible, or propagation ends."""
BEYOND = 0.05
"""Weight of a frame's colors before an earlier given frame, beside that one's."""
_SCALE = 254
"""Chroma in [-0.5, 0.5] and trust in [0, 1] are stored as bytes."""

Given = Callable[[Plane], Hints]
"""Luma [h, w] of a frame at the working size -> what a person gave for it."""


class PropagatedColors:
    """Colors of frames, in a temporary file. A context manager and a source of hints."""

    def __init__(self, working: tuple[int, int]) -> None:
        """`working`: height and width of the hints."""
        self._working = working
        self._shape: tuple[int, int] = (0, 0)
        self._slots: dict[int, int] = {}
        """Frame number -> place in the file."""
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="colorcli-")  # noqa: SIM115 - closed in __exit__

    def add(self, frame: int, colors: Hints, weight: float) -> None:
        """Add colors for a frame, mixing them with those that it has.

        Args:
            weight: how much they count against the others, 0.5 for equally much.
        """
        chroma, trust = colors.chroma, colors.mask
        self._shape = trust.shape
        if frame in self._slots:
            other = self.stored(frame)
            share, other_share = trust * np.float32(weight), other.mask * np.float32(1 - weight)
            whole = np.maximum(share + other_share, np.float32(1e-6))
            chroma = np.divide(chroma * share + other.chroma * other_share, whole, dtype=np.float32)
            trust = np.maximum(trust, other.mask)
        packed = np.concatenate([chroma + 0.5, trust[None]]) * _SCALE
        slot = self._slots.setdefault(frame, len(self._slots))
        self._file.seek(slot * packed.size)
        self._file.write(np.rint(packed).astype(np.uint8).tobytes())

    def __call__(self, frame: int) -> Hints | None:
        """Hints for a frame at the working size, None where nothing reaches."""
        if frame not in self._slots:
            return None
        colors = self.stored(frame)
        size = self._working[::-1]
        planes = [
            cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (*colors.chroma, colors.mask)
        ]
        return Hints(np.stack(planes[:2]), planes[2])

    def stored(self, frame: int) -> Hints:
        """What is stored for a frame, at the flow's size."""
        size = 3 * self._shape[0] * self._shape[1]
        self._file.seek(self._slots[frame] * size)
        stored = np.frombuffer(self._file.read(size), np.uint8).reshape(3, *self._shape)
        planes = stored.astype(np.float32) / np.float32(_SCALE)
        return Hints(planes[:2] - np.float32(0.5), planes[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()


def propagate(
    given: Mapping[int, Given], frames: Iterable[Frame], colors: PropagatedColors
) -> dict[int, str]:
    """Propagate what was given for frames through their shots into `colors`.

    What arrives in a shot depends on the shot's own frames alone.

    Args:
        given: by frame number.
        frames: with decisions, in order; they are read up to the end of the last shot that needs it.

    Returns:
        Why something has no effect, by its frame's number.
    """
    waiting, unused = dict(given), dict[int, str]()
    shot: deque[tuple[int, FlowImage]] = deque(maxlen=FARTHEST_BACK)
    forward: _Forward | None = None
    for frame in frames:
        if frame.starts_shot or frame.keeps_color:
            shot.clear()
            forward = None
        if not waiting and forward is None:
            break
        number, small = frame.number, frame.views[0].small
        image = FlowImage.of(small)
        if forward is not None:
            forward = forward.advance(number, shot[-1][1], image, colors)
        shot.append((number, image))
        if number in waiting:
            own = waiting.pop(number)
            if frame.keeps_color:
                unused[number] = "has color already and keeps it"
            else:
                forward = _spread(list(shot), own(small), forward, colors)
    return unused | dict.fromkeys(waiting, "is not in the video")


@dataclass(frozen=True)
class _Forward:
    """Given colors on their way forward."""

    frame: int
    """Number of the frame that they were given for."""
    image: FlowImage
    given: Hints
    """At the flow's size."""
    flow: AccumulatedFlow
    """From the current frame to that one."""
    meter: FlowMeter

    def advance(
        self, number: int, previous: FlowImage, image: FlowImage, colors: PropagatedColors
    ) -> "_Forward | None":
        """Propagate to the next frame; None if too little is visible there."""
        backward, _, trust, _ = self.meter.between(previous, image)
        flow = self.flow.extend(backward, trust, self.image, image)
        arrived = _arrived(self.given, flow)
        if arrived is None:
            return None
        colors.add(number, arrived, 1.0)
        return _Forward(self.frame, self.image, self.given, flow, self.meter)


def _spread(
    shot: list[tuple[int, FlowImage]], own: Hints, forward: _Forward | None, colors: PropagatedColors
) -> _Forward:
    """Propagate what is given for the last frame of a shot back, and start it on its way forward.

    `forward`: what arrives there of an earlier frame.
    """
    number, image = shot[-1]
    size = image.image.shape[::-1]
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (*own.chroma, own.mask)]
    own = Hints(np.stack(planes[:2]), planes[2])
    _propagate_back(shot, own, None if forward is None else forward.frame, colors)
    whole = own if forward is None else own.over(colors.stored(number))
    colors.add(number, whole, 1.0)
    return _Forward(number, image, whole, AccumulatedFlow.start(image), FlowMeter())


def _propagate_back(
    shot: list[tuple[int, FlowImage]], given: Hints, previous: int | None, colors: PropagatedColors
) -> None:
    """Propagate from the last frame of a shot back to the first, or to the `previous` given frame.

    Where little of the frame is given, it goes on beyond that one, which may say nothing of the same thing.
    """
    number, reference = shot[-1]
    is_whole = float(given.mask.min()) == 1
    flow, meter = AccumulatedFlow.start(reference), FlowMeter()
    for (frame, image), (_, following) in zip(shot[-2::-1], shot[:0:-1], strict=True):
        is_beyond = previous is not None and frame <= previous
        if is_beyond and is_whole:
            return
        _, forward, _, trust = meter.between(image, following)
        flow = flow.extend(forward, trust, reference, image)
        arrived = _arrived(given, flow)
        if arrived is None:
            return
        nearness = 1.0 if previous is None else (frame - previous) / (number - previous)
        colors.add(frame, arrived, BEYOND if is_beyond else nearness)


def _arrived(given: Hints, flow: AccumulatedFlow) -> Hints | None:
    """What is given for a flow's reference frame, in the flow's own frame; None if too little is visible."""
    *chroma, mask = flow.warp(np.concatenate([given.chroma, given.mask[None]]))
    trust = mask * flow.trust
    if float(trust.sum()) < LEAST_COVERAGE * float(given.mask.sum()):
        return None
    return Hints(np.stack(chroma), trust)
