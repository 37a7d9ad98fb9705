"""Motion between frames, and how well it explains them.

Dense inverse search (Kroeger et al. 2016, arXiv:1603.03590) as OpenCV has it, at half the network's working
size: chroma is coarser than luma, and color is brought to its edges by luma afterwards. Positions are
absolute sample coordinates, so that a chain of flows is one map and chroma is resampled once, not once a
frame: repeated resampling washes color out.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane

Positions = NDArray[np.float32]
"""[h, w, 2]: for each pixel of one frame, x and y of its place in another."""

CONSISTENCY = 2.0
"""Pixels of the flow's size by which going there and back may miss before trust has fallen to 1/e."""
PER_MOTION = 0.05
"""Square pixels more for each square pixel of motion: flow is the less exact, the faster things move
(Sundaram, Brox and Keutzer 2010 grant 0.01; film blurs what is fast)."""
FINEST, DESCENTS = 1, 8
"""The search's finest scale, log2, and steps at each. At OpenCV's 2, flow is known at every fourth pixel
only, and colors swim at edges: a third more flicker. Half of its 16 steps find as much."""
LUMA_TOLERANCE = 0.06
"""Luma difference (15 of 255) at which trust has fallen to 1/e: above film grain, below most edges."""


@dataclass(frozen=True)
class FlowImage:
    """A frame as the flow sees it."""

    image: NDArray[np.uint8]
    """Luma [h, w], blurred a little against grain."""

    @classmethod
    def of(cls, small: Plane) -> "FlowImage":
        size = (max(16, small.shape[1] // 2), max(16, small.shape[0] // 2))
        shrunk = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        return cls(cv2.GaussianBlur(cv2.convertScaleAbs(shrunk, alpha=255), (3, 3), 0))


@dataclass(frozen=True)
class AccumulatedFlow:
    """Where each pixel of a frame lay in a frame some way before or after it, and how sure that is."""

    places: Positions
    trust: Plane
    """[h, w] in [0, 1]."""

    @classmethod
    def start(cls, image: FlowImage) -> "AccumulatedFlow":
        """A frame's trail to itself."""
        height, width = image.image.shape
        return cls(grid(height, width), np.ones((height, width), np.float32))

    @property
    def coverage(self) -> float:
        """The share of the frame that is explained."""
        return float(self.trust.mean())

    def extend(
        self, step: Positions, agreement: Plane, origin: FlowImage, image: FlowImage
    ) -> "AccumulatedFlow":
        """The trail of a frame one step further, whose pixels lie at `step` in this trail's frame.

        Args:
            agreement: trust [h, w] in that step alone.
            origin: the frame at the trail's far end; the places are held against it, so errors do not add up.
        """
        places = sample(self.places, step)
        trust = sample(self.trust, step) * agreement
        return AccumulatedFlow(places, np.minimum(trust, likeness(origin, image, places)))

    def bring(self, chroma: Plane) -> Plane:
        """Chroma [2, H, W] of the far frame, at any size, moved to this frame's places."""
        height, width = chroma.shape[1:]
        scale = np.array([width / self.places.shape[1], height / self.places.shape[0]], np.float32)
        places = cv2.resize(
            (self.places + 0.5) * scale - 0.5, (width, height), interpolation=cv2.INTER_LINEAR
        )
        return np.stack([sample(plane, places) for plane in chroma])

    def trust_at(self, shape: tuple[int, int]) -> Plane:
        """Trust at another size [H, W]."""
        return cv2.resize(self.trust, shape[::-1], interpolation=cv2.INTER_LINEAR)


class FlowMeter:
    """Finds motion between neighboring frames in both directions. Not for two threads at once.

    OpenCV's search keeps buffers whose old contents tinge its next result: the same frames give exactly the
    same flow only from a new meter.
    """

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._search.setFinestScale(FINEST)
        self._search.setGradientDescentIterations(DESCENTS)

    def between(self, one: FlowImage, other: FlowImage) -> tuple[Positions, Positions, Plane, Plane]:
        """Places of `other`'s pixels in `one`, of `one`'s in `other`, and the trust [h, w] in each."""
        to_one = self._places(other, one)
        to_other = self._places(one, other)
        return to_one, to_other, _agreement(to_one, to_other), _agreement(to_other, to_one)

    def _places(self, source: FlowImage, target: FlowImage) -> Positions:
        return self._search.calc(source.image, target.image, None) + grid(*source.image.shape)


def likeness(origin: FlowImage, image: FlowImage, places: Positions) -> Plane:
    """How well `origin`, moved to `places`, explains `image`: [h, w] in [0, 1].

    A change of exposure over the whole frame, as old film flickers, is taken out first.
    """
    moved = sample(origin.image, places).astype(np.float32) / np.float32(255)
    luma = image.image.astype(np.float32) / np.float32(255)
    gain, offset = _exposure(moved, luma)
    moved *= gain
    moved += offset - luma
    missed = cv2.blur(cv2.absdiff(moved, 0), (3, 3))
    return np.exp(-np.square(missed / LUMA_TOLERANCE))


def sample(plane: NDArray[Any], places: Positions) -> NDArray[Any]:
    """A plane's values at places, bilinear; the border reaches outwards."""
    return cv2.remap(plane, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def grid(height: int, width: int) -> Positions:
    """Every pixel's own place."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def _agreement(there: Positions, back: Positions) -> Plane:
    """Trust in the places `there`, from how near `back` returns: occluded pixels do not return."""
    home = grid(*there.shape[:2])
    missed = np.square(sample(back, there) - home).sum(axis=2)
    motion = np.square(there - home).sum(axis=2)
    return np.exp(-missed / (CONSISTENCY**2 + PER_MOTION * motion))


def _exposure(moved: Plane, image: Plane) -> tuple[float, float]:
    """Gain and offset that bring one frame's exposure to the other's, by mean and spread; never extreme."""
    (mean,), (spread,) = (part[:, 0] for part in cv2.meanStdDev(moved))
    (wanted_mean,), (wanted_spread,) = (part[:, 0] for part in cv2.meanStdDev(image))
    gain = float(np.clip(wanted_spread / max(spread, 1e-3), 0.7, 1.4))
    return gain, float(np.clip(wanted_mean - gain * mean, -0.3, 0.3))
