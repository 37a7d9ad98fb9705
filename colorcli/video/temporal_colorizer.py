"""Temporally stable color: within a shot, chroma follows the optical flow and the network corrects it.

A shot is colorized in windows of 12 pictures at most, and a keyframe ends each window. A window ends early
where the previous keyframe explains too little of the picture. The network runs at keyframes only, so it runs
as often as the picture changes. The colors of a keyframe are decided 24 pictures later. By then the network
has run at the next keyframes, too, and all of them vote (`keyframe_voting`). The vote corrects the colors
that the flow brings from the previous keyframe, by 6 % a window. So no single prediction shows, and no wrong
one stays for long. Areas that come into view get the vote's colors. Frames between two keyframes mix the
warped colors of both by the trust in each and by distance. What is occluded in one keyframe is usually
visible in the other, so moving objects leave no ghost behind. The first and the last keyframe of a shot take
part of their colors from what earlier shots showed (`shot_memory`).

Measured on the first 75 frames of the fox, bikes and cockatoo clips in gray, colorized by `colorcli run`: in
24 frames the colors of points change by 1.4, 1.7 and 1.5 on average (|da| + |db| in CIELAB), and 95 % of them
by less than 3.6, 4.7 and 3.7; the original's change by 2.5, 1.5 and 2.2, and by 6.7, 3.9 and 5.5.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.video.corrections import Memory
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, Positions
from colorcli.video.keyframe_voting import (
    CORRECTION_PER_STEP,
    MOST_VOTES,
    ColorEstimate,
    KeyframePrediction,
    correct,
    flow_weight,
    vote,
)

LOOKAHEAD = 24
"""Steps that are read after a keyframe before its colors are final; the keyframes among them vote. Up to
twice as many pictures are held in memory. On the fox, bikes and cockatoo clips points drift 8 to 23 % more
with 12, and 7 and 9 % less and 3 % more with 36."""
LEAST_LOOKAHEAD = 2
"""The lookahead of the largest pictures."""
MOST_HELD_BYTES = 256 << 20
"""Memory for the pictures held; larger pictures get a shorter lookahead."""
LEAST_COVERAGE = 0.35
"""Share of the picture that the last keyframe must explain, or the window ends. From 0.75 down, the color
clips tried flicker less and are no further from the truth, with half the predictions."""
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
    """It is the first one of a shot."""


@dataclass(frozen=True)
class Keyframe:
    """A picture whose colors are final: all that the following pictures depend on."""

    small: Plane
    """Luma [h, w] in [0, 1] at the working size."""
    chroma: Plane
    """[2, h, w] at the working size."""
    estimate: Plane
    """[3, h, w]: the planes of the `ColorEstimate` that `chroma` was made from."""
    held: Plane
    """How far a person decided the colors: [h, w] in [0, 1], or scalar 0."""


@dataclass(frozen=True)
class ColoredStep:
    """A picture with its chroma."""

    step: Step
    chroma: Plane | None
    """[2, h, w] at the working size; None if it keeps its own color."""
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


@dataclass(frozen=True)
class _Window:
    """The steps after one keyframe up to the next."""

    entries: list[_WindowEntry]
    """Empty where a shot starts."""
    last: Step
    """The keyframe at the end."""
    prediction: KeyframePrediction
    flows: list[AccumulatedFlow]
    """From every entry except the last to the last one, in order."""


def lookahead_for(step_bytes: int) -> int:
    """The lookahead with which held pictures of so many bytes each fit into `MOST_HELD_BYTES`."""
    return max(LEAST_LOOKAHEAD, min(LOOKAHEAD, MOST_HELD_BYTES // (2 * step_bytes)))


class TemporalColorizer:
    """Colorizes the pictures of a video in order."""

    def __init__(
        self,
        predictor: ChromaPredictor,
        hint_source: HintSource,
        keyframe: Keyframe | None = None,
        lookahead: int = LOOKAHEAD,
        memory: Memory | None = None,
        is_kept: Callable[[int], bool] = lambda number: False,
    ) -> None:
        """Start before a video's first picture or, with the previous picture's `keyframe`, continue a run.

        `lookahead`: steps after a keyframe until its colors are final; less than twice as many are held.
        `memory`: what earlier shots showed; None if each shot is for itself.
        `is_kept`: whether a frame keeps the colors of an earlier run (`kept_shots`), and needs none.
        """
        self._is_kept = is_kept
        self._predictor, self._hint_source, self._memory = predictor, hint_source, memory
        self._lookahead, self._longest_window = lookahead, lookahead // 2
        self._entries: list[_WindowEntry] = []
        """Of the window that is growing."""
        self._waiting: deque[_Window] = deque()
        """Complete windows of the shot whose colors are not final."""
        self._keyframe = keyframe
        """The last one of the shot whose colors are final."""
        self._origin: FlowImage | None = None
        """The keyframe before the growing window; None before a shot."""
        if keyframe is not None:
            self._start_window(FlowImage.of(keyframe.small))

    def run(self, steps: Iterable[Step]) -> Iterator[ColoredStep]:
        """Every step, in order, with its colors; the output lags by less than twice the lookahead."""
        for step in steps:
            if step.starts_shot or step.keeps_color:
                yield from self._end_shot()
            if step.keeps_color or self._is_kept(step.number):
                yield ColoredStep(step, None, is_resumable=True)
            elif self._origin is None:
                self._start_shot(step)
            else:
                self._extend_window(step, self._origin)
                if self._is_window_complete():
                    self._complete_window()
                    while self._steps_ahead() >= self._lookahead:
                        yield from self._finish_window()
        yield from self._end_shot()

    def _start_shot(self, step: Step) -> None:
        """Start a shot with a keyframe."""
        image = FlowImage.of(step.small)
        chroma, certainty = self._predict(step)
        prediction = KeyframePrediction(image, ColorEstimate.of(chroma), certainty, None)
        prediction = self._remember(step, prediction, is_last=False)
        self._waiting.append(_Window([], step, prediction, []))
        self._start_window(image)

    def _start_window(self, origin: FlowImage) -> None:
        # With a new meter for each window, what follows depends on the keyframe alone, as resuming requires.
        self._origin, self._meter = origin, FlowMeter()

    def _is_window_complete(self) -> bool:
        coverage = self._entries[-1].to_keyframe.coverage
        return len(self._entries) >= self._longest_window or coverage < LEAST_COVERAGE

    def _predict(self, step: Step) -> tuple[Plane, Plane | float]:
        return predict(self._predictor, self._hint_source, step.number, step.small)

    def _remember(self, step: Step, prediction: KeyframePrediction, *, is_last: bool) -> KeyframePrediction:
        """A shot's first or last keyframe with the colors of what earlier shots showed.

        The last one is as the memory has it, everywhere, as a shot that goes on later starts from there. But
        the colors that the flow brings there change little (`KeyframePrediction.anchor_beside`).
        """
        if self._memory is None:
            return prediction
        correction = self._memory.correct(
            step.number, step.small, prediction.estimate, prediction.certainty, is_last=is_last
        )
        estimate = correction.apply(prediction.estimate)
        trust, given = correction.trust_at(step.small.shape)
        return replace(prediction, estimate=estimate, anchor=1.0 if is_last else trust, given=given)

    def _extend_window(self, step: Step, origin: FlowImage) -> None:
        """Add a step to the window that starts after `origin`."""
        image = FlowImage.of(step.small)
        previous = self._entries[-1].image if self._entries else origin
        flow = self._entries[-1].to_keyframe if self._entries else AccumulatedFlow.start(previous)
        backward, forward, backward_trust, forward_trust = self._meter.between(previous, image)
        flow = flow.extend(backward, backward_trust, origin, image)
        self._entries.append(_WindowEntry(step, image, flow, forward, forward_trust))

    def _steps_ahead(self) -> int:
        """How many steps follow the first waiting keyframe, up to the last keyframe."""
        return sum(len(window.entries) for window in islice(self._waiting, 1, None))

    def _complete_window(self) -> None:
        """Make the growing window's last step a keyframe, which the network colorizes."""
        assert self._origin is not None
        entries, self._entries = self._entries, []
        last = entries[-1]
        chroma, certainty = self._predict(last.step)
        from_previous, *flows = _flows_to_last(self._origin, entries)
        prediction = KeyframePrediction(last.image, ColorEstimate.of(chroma), certainty, from_previous)
        self._waiting.append(_Window(entries, last.step, prediction, flows))
        self._start_window(last.image)

    def _end_shot(self) -> Iterator[ColoredStep]:
        """Finish all windows, and forget the shot."""
        if self._entries:
            self._complete_window()
        if self._waiting and self._waiting[-1].entries:
            window = self._waiting.pop()
            prediction = self._remember(window.last, window.prediction, is_last=True)
            self._waiting.append(replace(window, prediction=prediction))
        while self._waiting:
            yield from self._finish_window()
        self._keyframe = self._origin = None

    def _finish_window(self) -> Iterator[ColoredStep]:
        """Decide the first waiting keyframe's colors, and color the steps before it from both keyframes."""
        estimate = vote([window.prediction for window in islice(self._waiting, MOST_VOTES)])
        window = self._waiting.popleft()
        small, certainty = window.last.small, window.prediction.certainty
        opening = self._keyframe
        held = np.maximum(certainty, window.prediction.given).astype(np.float32)
        if opening is not None:
            flow, steps = window.entries[-1].to_keyframe, len(window.entries)
            weight = flow_weight(flow, small.shape)
            carried = _carried(opening.held, flow, weight, steps)
            warped = ColorEstimate(opening.estimate).warp(flow)
            anchor = window.prediction.anchor_beside(warped)
            trust = weight * (1 - np.maximum(certainty, anchor * (1 - carried)))
            estimate = correct(warped, estimate, trust, steps, carried)
            held = np.maximum(held, carried)
        closing = self._keyframe = Keyframe(small, estimate.chroma(certainty), estimate.planes, held)
        for place, (entry, to_closing) in enumerate(zip(window.entries, window.flows, strict=False), 1):
            assert opening is not None
            nearness = np.float32(place / len(window.entries))
            chroma = _interpolate(entry.to_keyframe, opening.chroma, to_closing, closing.chroma, nearness)
            yield ColoredStep(entry.step, chroma)
        yield ColoredStep(window.last, closing.chroma, is_resumable=True, keyframe=closing)


class PerFrameColorizer(TemporalColorizer):
    """Colorizes every picture on its own, for `--no-stabilize`."""

    def run(self, steps: Iterable[Step]) -> Iterator[ColoredStep]:
        """Every step with the network's colors for it."""
        for step in steps:
            is_kept = step.keeps_color or self._is_kept(step.number)
            chroma = None if is_kept else self._predict(step)[0]
            yield ColoredStep(step, chroma, is_resumable=True)


def predict(
    predictor: ChromaPredictor, hint_source: HintSource, number: int, small: Plane
) -> tuple[Plane, Plane | float]:
    """The network's colors with the hinted ones put in, and how certain these are (the hints' mask)."""
    hints = hint_source(number, small)
    (chroma,) = predictor.predict([small], [hints])
    return with_certainty(chroma, hints)


def with_certainty(chroma: Plane, hints: Hints | None) -> tuple[Plane, Plane | float]:
    """A prediction as `predict` gives it."""
    if hints is None:
        return chroma, 0.0
    return chroma + hints.mask * (hints.chroma - chroma), hints.mask


def _flows_to_last(origin: FlowImage, entries: list[_WindowEntry]) -> list[AccumulatedFlow]:
    """The flow to the last entry: of the keyframe `origin`, then of every other entry."""
    last = entries[-1]
    flow = AccumulatedFlow.start(last.image)
    flows = []
    images = [origin, *(entry.image for entry in entries[:-1])]
    for image, following in zip(images[::-1], entries[::-1], strict=True):
        flow = flow.extend(following.forward, following.forward_trust, last.image, image)
        flows.append(flow)
    return flows[::-1]


def _carried(held: Plane, flow: AccumulatedFlow, weight: Plane, steps: int) -> Plane:
    """What is left of `Keyframe.held` after so many steps along a flow that counts by `weight` [h, w]."""
    if not held.any():
        return np.zeros_like(held)
    (moved,) = flow.warp(held[None])
    return moved * weight * np.float32((1 - CORRECTION_PER_STEP) ** steps)


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
    mixed, mixed_after = before.warp(chroma_before), after.warp(chroma_after)
    mixed *= weight_before
    mixed_after *= weight_after
    mixed += mixed_after
    if total.min() < LEAST_TRUST:
        mixed += _neighborhood_mean(mixed) * LEAST_TRUST
        total += _neighborhood_mean(total[None])[0] * LEAST_TRUST
    return np.divide(mixed, np.maximum(total, 1e-6), dtype=np.float32)


def _neighborhood_mean(planes: Plane) -> Plane:
    """The mean over an eighth of the picture's longer side."""
    side = 2 * (max(planes.shape[1:]) // 16) + 1
    return np.stack([cv2.blur(plane, (side, side)) for plane in planes])
