"""Steady color: within a shot, chroma is carried along the motion and the network only corrects it.

A shot is worked through in windows. A window begins after a key frame, whose colors are settled, and ends at
the next: as soon as too little of the picture is explained by its motion since the last key, and in any case
after `LONGEST` frames. Only there the network runs, so it runs as often as the picture needs. A key's colors
are the carried ones where the motion explains the luma, drawn a little towards the network's, and the
network's elsewhere: so nothing drifts or washes out, and what is newly in sight gets color of its own.
Frames between two keys take color from both, each as far as it explains them, the nearer one more: what is
hidden from one key is usually seen from the other, and no ghost is left behind what moves.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, Positions, likeness

LONGEST = 12
"""Frames from key to key at most: half a second of film. All are held meanwhile, which is memory, too."""
ENOUGH = 0.35
"""Share of the picture that the last key must explain, or the window ends. From 0.75 down, the color clips
tried flicker less and lie no further from the truth, with half the predictions. Not below `SAME_SHOT`, or
cuts would go unseen."""
SAME_SHOT = 0.35
"""Share that must be explained from one frame to the next within a shot; less is a cut."""
MEMORY = 0.7
"""Weight of well carried colors against the network's at a key frame. The correction is spread over the
window before the key, so 0.9 flickers hardly less, and keeps the colors of a shot's first frame too long."""
SURPRISE = 0.07
"""Difference of chroma between carried and predicted colors (18 of 255) at which belief in the carried ones
has fallen to 1/e. The network wavers by less; more is a color dragged along in the dark, where luma tells
nothing, and it must not stay."""
UNSEEN = 0.02
"""Trust below which neither key explains a pixel, and its colors come from its neighborhood."""

HintSource = Callable[[int, Plane], Hints | None]
"""Colors known beforehand for a frame, by its number and luma at working size."""


@dataclass(frozen=True)
class Step:
    """One picture of the film, frame or field, on its way to color."""

    number: int
    """Of the frame it belongs to."""
    small: Plane
    """Luma at the working size."""
    kept: bool = False
    """It keeps the colors it has."""
    opens: bool = False
    """A shot begins here for certain."""


@dataclass(frozen=True)
class Keyframe:
    """A picture whose colors are settled: all that the following ones depend on."""

    small: Plane
    chroma: Plane
    """[2, h, w] at working size."""


@dataclass(frozen=True)
class ColoredStep:
    """A step with its chroma [2, h, w], or None where it keeps its own."""

    step: Step
    chroma: Plane | None
    opens_shot: bool = False
    settled: bool = False
    """Nothing before this step matters any more for those after it, but its own `key`."""
    key: Keyframe | None = None


@dataclass(frozen=True)
class _Link:
    """A step within a window."""

    step: Step
    image: FlowImage
    trail: AccumulatedFlow
    """To the key before."""
    onwards: Positions
    """Where the pixels of the step before it lie in this one."""
    onwards_trust: Plane


class TemporalColorizer:
    """Colors a film's pictures in order."""

    def __init__(self, colorizer: ChromaPredictor, known: HintSource, key: Keyframe | None = None) -> None:
        """`key`: of the picture before the first one, when a run is continued."""
        self._colorizer, self._known = colorizer, known
        self._window: list[_Link] = []
        self._key: Keyframe | None = None
        if key is not None:
            self._take(key)

    def run(self, steps: Iterable[Step]) -> Iterator[ColoredStep]:
        """Every step, in order, with its colors; it lags by a window."""
        for step in steps:
            if step.kept:
                opens = self._key is not None or step.opens
                yield from self._close()
                self._key = None
                yield ColoredStep(step, None, opens_shot=opens, settled=True)
            elif self._key is None or step.opens or not self._follows(step):
                yield from self._close()
                yield self._open(step)
            elif len(self._window) >= LONGEST or self._window[-1].trail.coverage < ENOUGH:
                yield from self._close()
        yield from self._close()

    def _open(self, step: Step) -> ColoredStep:
        """Begin a shot."""
        key = self._take(Keyframe(step.small, self._predict(step)[0]))
        return ColoredStep(step, key.chroma, opens_shot=True, settled=True, key=key)

    def _take(self, key: Keyframe) -> Keyframe:
        # A new meter for each window makes what follows depend on the key alone, as a continued run needs.
        self._key, self._key_image, self._meter = key, FlowImage.of(key.small), FlowMeter()
        return key

    def _predict(self, step: Step) -> tuple[Plane, Plane | float]:
        """The network's colors, with the known ones in their places, and how well known they are."""
        hints = self._known(step.number, step.small)
        (chroma,) = self._colorizer.predict([step.small], [hints])
        if hints is None:
            return chroma, 0.0
        return chroma + hints.mask * (hints.chroma - chroma), hints.mask

    def _follows(self, step: Step) -> bool:
        """Add a step to the window, unless a new shot begins with it."""
        image = FlowImage.of(step.small)
        before = self._window[-1].image if self._window else self._key_image
        trail = self._window[-1].trail if self._window else AccumulatedFlow.start(before)
        back, onwards, back_trust, onwards_trust = self._meter.between(before, image)
        trail = trail.extend(back, back_trust, self._key_image, image)
        if trail.coverage < ENOUGH and is_cut(before, image, back, back_trust):
            return False
        self._window.append(_Link(step, image, trail, onwards, onwards_trust))
        return True

    def _close(self) -> Iterator[ColoredStep]:
        """End the window: settle its last picture as a key, color those between from both keys."""
        if not self._window or self._key is None:
            return
        *between, last = self._window
        self._window = []
        opening, opening_chroma = self._key, self._key.chroma
        predicted, known = self._predict(last.step)
        change = last.trail.bring(opening_chroma) - predicted
        trust = MEMORY * last.trail.trust_at(opening.small.shape) * (1 - known) * _belief(change)
        closing = Keyframe(last.step.small, predicted + trust * change)
        trails = self._trails_back([*between, last])
        for place, (link, back) in enumerate(zip(between, trails, strict=True), 1):
            nearness = place / (len(between) + 1)
            yield ColoredStep(
                link.step, _meet(link.trail, opening_chroma, back, closing.chroma, np.float32(nearness))
            )
        self._take(closing)
        yield ColoredStep(last.step, closing.chroma, settled=True, key=closing)

    @staticmethod
    def _trails_back(links: list[_Link]) -> list[AccumulatedFlow]:
        """From every link but the last, its trail to the last one."""
        last = links[-1]
        trail = AccumulatedFlow.start(last.image)
        trails = []
        for link, following in zip(links[-2::-1], links[:0:-1], strict=True):
            trail = trail.extend(following.onwards, following.onwards_trust, last.image, link.image)
            trails.append(trail)
        return trails[::-1]


def _belief(change: Plane) -> Plane:
    """Belief [h, w] in carried colors, from their difference [2, h, w] to the predicted ones."""
    distance = np.square(change).sum(axis=0) / np.float32(SURPRISE**2)
    return np.exp(-cv2.blur(distance, (5, 5)))


def is_cut(before: FlowImage, image: FlowImage, back: Positions, trust: Plane) -> bool:
    """Whether motion explains too little of a frame by the one before it for both to be of one shot."""
    return float((likeness(before, image, back) * trust).mean()) < SAME_SHOT


def _meet(
    before: AccumulatedFlow,
    chroma_before: Plane,
    after: AccumulatedFlow,
    chroma_after: Plane,
    nearness: np.float32,
) -> Plane:
    """Colors between two keys; `nearness` is 0 at the one before and 1 at the one after."""
    shape = chroma_before.shape[1:]
    weight_before = before.trust_at(shape) * (1 - nearness)
    weight_after = after.trust_at(shape) * nearness
    total = weight_before + weight_after
    mixed = before.bring(chroma_before) * weight_before + after.bring(chroma_after) * weight_after
    if total.min() < UNSEEN:
        mixed, total = mixed + _surroundings(mixed) * UNSEEN, total + _surroundings(total[None])[0] * UNSEEN
    return np.divide(mixed, np.maximum(total, 1e-6), dtype=np.float32)


def _surroundings(planes: Plane) -> Plane:
    """The mean over a neighborhood of an eighth of the picture."""
    side = 2 * (max(planes.shape[1:]) // 16) + 1
    return np.stack([cv2.blur(plane, (side, side)) for plane in planes])


class PerFrameColorizer(TemporalColorizer):
    """Every picture colored by itself, as `--no-stabilize` asks."""

    def run(self, steps: Iterable[Step]) -> Iterator[ColoredStep]:
        """Every step with the network's own colors for it."""
        for step in steps:
            if step.kept:
                yield ColoredStep(step, None, opens_shot=step.opens, settled=True)
            else:
                yield ColoredStep(step, self._predict(step)[0], opens_shot=step.opens, settled=True)
