"""Temporally stable color: within a shot, chroma follows the optical flow and the network corrects it.

A shot is colorized in windows. A window begins after a keyframe, whose colors are final, and ends at the next
keyframe: as soon as the previous keyframe explains too little of the picture, and after `LONGEST_WINDOW`
frames at most. The network runs at keyframes only, so it runs as often as the picture changes. A keyframe's
colors are the warped ones of the previous keyframe, corrected slightly towards the network's, where the flow
explains the luma, and the network's elsewhere: so colors neither drift nor fade, and areas that come into
view get colors of their own. Frames between two keyframes mix the warped colors of both by the trust in each
and by distance: what is occluded in one keyframe is usually visible in the other, and moving objects leave no
ghost behind.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, Positions, luma_agreement

LONGEST_WINDOW = 12
"""Frames from keyframe to keyframe at most: half a second of film. All of them are held in memory."""
LEAST_COVERAGE = 0.35
"""Share of the picture that the last keyframe must explain, or the window ends. From 0.75 down, the color
clips tried flicker less and are no further from the truth, with half the predictions. Not below
`LEAST_CONTINUITY`, or cuts would be missed."""
LEAST_CONTINUITY = 0.35
"""Share of a frame that the previous frame must explain within a shot; less is a cut."""
MEMORY = 0.7
"""Weight of trusted warped colors against the network's at a keyframe. The correction is distributed over the
window before the keyframe, so 0.9 flickers hardly less, and keeps the colors of a shot's first frame too
long."""
DISAGREEMENT = 0.07
"""Difference of chroma between warped and predicted colors (18 of 255) at which confidence in the warped ones
has fallen to 1/e. The network varies by less; more is a color that was carried along where dark luma shows no
motion, and it must not stay."""
LEAST_TRUST = 0.02
"""Trust below which neither keyframe explains a pixel; its color then comes from its neighborhood."""

HintSource = Callable[[int, Plane], Hints | None]
"""Colors known beforehand for a frame, by its number and its luma [h, w] at the working size."""


@dataclass(frozen=True)
class Step:
    """One picture, a frame or a field, to be colorized."""

    number: int
    """Of the frame that it belongs to."""
    small: Plane
    """Luma [h, w] in [0, 1] at the working size."""
    keeps_color: bool = False
    """It has color already and keeps it."""
    starts_shot: bool = False
    """A shot starts here by the shot list."""


@dataclass(frozen=True)
class Keyframe:
    """A picture whose colors are final: all that the following pictures depend on."""

    small: Plane
    """Luma [h, w] in [0, 1] at the working size."""
    chroma: Plane
    """[2, h, w] at the working size."""


@dataclass(frozen=True)
class ColoredStep:
    """A picture with its chroma."""

    step: Step
    chroma: Plane | None
    """[2, h, w] at the working size; None if it keeps its own color."""
    starts_shot: bool = False
    is_resumable: bool = False
    """The steps after this one depend on nothing before it but its `keyframe`."""
    keyframe: Keyframe | None = None


@dataclass(frozen=True)
class _WindowEntry:
    """A step within a window."""

    step: Step
    image: FlowImage
    to_keyframe: AccumulatedFlow
    """To the keyframe before the window."""
    forward: Positions
    """Positions of the previous step's pixels in this one."""
    forward_trust: Plane


class TemporalColorizer:
    """Colorizes the pictures of a video in order."""

    def __init__(
        self, predictor: ChromaPredictor, hint_source: HintSource, keyframe: Keyframe | None = None
    ) -> None:
        """`keyframe`: of the picture before the first one, when a run is continued."""
        self._predictor, self._hint_source = predictor, hint_source
        self._window: list[_WindowEntry] = []
        self._keyframe: Keyframe | None = None
        if keyframe is not None:
            self._take(keyframe)

    def run(self, steps: Iterable[Step]) -> Iterator[ColoredStep]:
        """Every step, in order, with its colors; the output lags by up to a window."""
        for step in steps:
            if step.keeps_color:
                starts_shot = self._keyframe is not None or step.starts_shot
                yield from self._close()
                self._keyframe = None
                yield ColoredStep(step, None, starts_shot=starts_shot, is_resumable=True)
            elif self._keyframe is None or step.starts_shot or not self._follows(step):
                yield from self._close()
                yield self._open(step)
            elif self._is_window_complete():
                yield from self._close()
        yield from self._close()

    def _open(self, step: Step) -> ColoredStep:
        """Start a shot with a keyframe of the network's colors."""
        keyframe = self._take(Keyframe(step.small, self._predict(step)[0]))
        return ColoredStep(step, keyframe.chroma, starts_shot=True, is_resumable=True, keyframe=keyframe)

    def _take(self, keyframe: Keyframe) -> Keyframe:
        # With a new meter for each window, what follows depends on the keyframe alone, as resuming requires.
        self._keyframe, self._keyframe_image = keyframe, FlowImage.of(keyframe.small)
        self._meter = FlowMeter()
        return keyframe

    def _is_window_complete(self) -> bool:
        coverage = self._window[-1].to_keyframe.coverage
        return len(self._window) >= LONGEST_WINDOW or coverage < LEAST_COVERAGE

    def _predict(self, step: Step) -> tuple[Plane, Plane | float]:
        """The network's colors with the hinted ones put in, and how certain these are (the hints' mask)."""
        hints = self._hint_source(step.number, step.small)
        (chroma,) = self._predictor.predict([step.small], [hints])
        if hints is None:
            return chroma, 0.0
        return chroma + hints.mask * (hints.chroma - chroma), hints.mask

    def _follows(self, step: Step) -> bool:
        """Add a step to the window, unless a new shot starts with it."""
        image = FlowImage.of(step.small)
        previous = self._window[-1].image if self._window else self._keyframe_image
        flow = self._window[-1].to_keyframe if self._window else AccumulatedFlow.start(previous)
        backward, forward, backward_trust, forward_trust = self._meter.between(previous, image)
        flow = flow.extend(backward, backward_trust, self._keyframe_image, image)
        if flow.coverage < LEAST_COVERAGE and is_cut(previous, image, backward, backward_trust):
            return False
        self._window.append(_WindowEntry(step, image, flow, forward, forward_trust))
        return True

    def _close(self) -> Iterator[ColoredStep]:
        """End the window: make its last picture a keyframe, color those between from both keyframes."""
        if not self._window or self._keyframe is None:
            return
        *between, last = self._window
        self._window = []
        opening = self._keyframe
        predicted, certainty = self._predict(last.step)
        change = last.to_keyframe.warp(opening.chroma) - predicted
        trust = last.to_keyframe.trust_at(opening.small.shape)
        weight = MEMORY * trust * (1 - certainty) * _confidence(change)
        closing = Keyframe(last.step.small, predicted + weight * change)
        flows = self._flows_to_last([*between, last])
        for place, (entry, to_closing) in enumerate(zip(between, flows, strict=True), 1):
            nearness = np.float32(place / (len(between) + 1))
            chroma = _interpolate(entry.to_keyframe, opening.chroma, to_closing, closing.chroma, nearness)
            yield ColoredStep(entry.step, chroma)
        self._take(closing)
        yield ColoredStep(last.step, closing.chroma, is_resumable=True, keyframe=closing)

    @staticmethod
    def _flows_to_last(entries: list[_WindowEntry]) -> list[AccumulatedFlow]:
        """The flow of every entry but the last to the last one."""
        last = entries[-1]
        flow = AccumulatedFlow.start(last.image)
        flows = []
        for entry, following in zip(entries[-2::-1], entries[:0:-1], strict=True):
            flow = flow.extend(following.forward, following.forward_trust, last.image, entry.image)
            flows.append(flow)
        return flows[::-1]


class PerFrameColorizer(TemporalColorizer):
    """Colorizes every picture on its own, for `--no-stabilize`."""

    def run(self, steps: Iterable[Step]) -> Iterator[ColoredStep]:
        """Every step with the network's colors for it."""
        for step in steps:
            chroma = None if step.keeps_color else self._predict(step)[0]
            yield ColoredStep(step, chroma, starts_shot=step.starts_shot, is_resumable=True)


def is_cut(previous: FlowImage, image: FlowImage, backward: Positions, trust: Plane) -> bool:
    """Whether the previous frame explains too little of a frame for both to belong to one shot.

    Args:
        backward: positions of the frame's pixels in the previous one.
        trust: trust [h, w] in them.
    """
    return float((luma_agreement(previous, image, backward) * trust).mean()) < LEAST_CONTINUITY


def _confidence(change: Plane) -> Plane:
    """Confidence [h, w] in warped colors, by their difference [2, h, w] from the predicted ones."""
    distance = np.square(change).sum(axis=0) / np.float32(DISAGREEMENT**2)
    return np.exp(-cv2.blur(distance, (5, 5)))


def _interpolate(
    before: AccumulatedFlow,
    chroma_before: Plane,
    after: AccumulatedFlow,
    chroma_after: Plane,
    nearness: np.float32,
) -> Plane:
    """Colors between two keyframes; `nearness` is 0 at the one before and 1 at the one after."""
    shape = chroma_before.shape[1:]
    weight_before = before.trust_at(shape) * (1 - nearness)
    weight_after = after.trust_at(shape) * nearness
    total = weight_before + weight_after
    mixed = before.warp(chroma_before) * weight_before + after.warp(chroma_after) * weight_after
    if total.min() < LEAST_TRUST:
        mixed = mixed + _neighborhood_mean(mixed) * LEAST_TRUST
        total = total + _neighborhood_mean(total[None])[0] * LEAST_TRUST
    return np.divide(mixed, np.maximum(total, 1e-6), dtype=np.float32)


def _neighborhood_mean(planes: Plane) -> Plane:
    """The mean over an eighth of the picture's longer side."""
    side = 2 * (max(planes.shape[1:]) // 16) + 1
    return np.stack([cv2.blur(plane, (side, side)) for plane in planes])
