"""Optical flow between frames, and how well it explains them.

Dense inverse search (Kroeger et al. 2016, arXiv:1603.03590) by OpenCV, at half the network's working size:
chroma is coarser than luma, and luma-guided upsampling restores its edges later. Positions are absolute
sample coordinates, so that a chain of flows is one map and chroma is resampled once instead of once a frame;
repeated resampling would wash the colors out.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane

Positions = NDArray[np.float32]
"""[h, w, 2]: for each pixel of one frame, the x and y at which it lies in another frame."""

CONSISTENCY = 2.0
"""Forward-backward error, in pixels of the flow's size, at which trust has fallen to 1/e."""
CONSISTENCY_PER_MOTION = 0.05
"""Added to CONSISTENCY squared for each square pixel of motion: flow is less exact where motion is fast
(Sundaram, Brox and Keutzer 2010 allow 0.01; fast motion is blurred in film)."""
FINEST_SCALE, DESCENT_STEPS = 1, 8
"""The search's finest scale as log2, and gradient descent steps at each scale. At OpenCV's 2 the flow has one
vector for four pixels across, and colors swim at edges: a third more flicker. Half of its 16 steps find as
much."""
LUMA_TOLERANCE = 0.06
"""Luma difference (15 of 255) at which trust has fallen to 1/e: above film grain, below most edges."""
MOST_GAIN, LEAST_GAIN, MOST_OFFSET = 1.4, 0.7, 0.3
"""Limits of the exposure change between two frames that is compensated."""


@dataclass(frozen=True)
class FlowImage:
    """A frame as the flow search takes it."""

    image: NDArray[np.uint8]
    """Luma [h, w] at half the working size, blurred slightly to suppress grain."""

    @classmethod
    def of(cls, small: Plane) -> "FlowImage":
        """From luma [h, w] in [0, 1] at the working size."""
        size = (max(16, small.shape[1] // 2), max(16, small.shape[0] // 2))
        shrunk = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        return cls(cv2.GaussianBlur(cv2.convertScaleAbs(shrunk, alpha=255), (3, 3), 0))


@dataclass(frozen=True)
class AccumulatedFlow:
    """Where each pixel of a frame lies in a reference frame some frames away, and the trust in it."""

    positions: Positions
    trust: Plane
    """[h, w] in [0, 1]."""

    @classmethod
    def start(cls, image: FlowImage) -> "AccumulatedFlow":
        """The flow of the reference frame to itself."""
        height, width = image.image.shape
        return cls(grid(height, width), np.ones((height, width), np.float32))

    @property
    def coverage(self) -> float:
        """The share of the frame that the reference frame explains."""
        return float(self.trust.mean())

    def extend(
        self, step: Positions, step_trust: Plane, reference: FlowImage, image: FlowImage
    ) -> "AccumulatedFlow":
        """The flow of the next frame to the same reference frame.

        Args:
            step: positions of the next frame's pixels in this flow's frame.
            step_trust: trust [h, w] in `step` alone.
            reference: the reference frame; comparing with it directly keeps errors from adding up.
            image: the next frame.
        """
        positions = sample(self.positions, step)
        trust = sample(self.trust, step) * step_trust
        return AccumulatedFlow(positions, np.minimum(trust, luma_agreement(reference, image, positions)))

    def warp(self, chroma: Plane) -> Plane:
        """Move chroma [2, H, W] of the reference frame, at any size, to its positions in this frame."""
        height, width = chroma.shape[1:]
        positions = self.positions + np.float32(0.5)
        positions *= _scale(self.trust.shape, (height, width))
        positions -= np.float32(0.5)
        positions = cv2.resize(positions, (width, height), interpolation=cv2.INTER_LINEAR)
        result = np.empty(chroma.shape, chroma.dtype)
        for plane, target in zip(chroma, result, strict=True):
            sample(plane, positions, into=target)
        return result

    def trust_at(self, shape: tuple[int, int]) -> Plane:
        """Trust at another size [H, W]."""
        return cv2.resize(self.trust, shape[::-1], interpolation=cv2.INTER_LINEAR)


class FlowMeter:
    """Finds the flow between neighboring frames in both directions. Not thread-safe.

    OpenCV's search keeps buffers whose contents influence its next result slightly: the same frames give
    exactly the same flow only with a new meter.
    """

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._search.setFinestScale(FINEST_SCALE)
        self._search.setGradientDescentIterations(DESCENT_STEPS)

    def between(self, one: FlowImage, other: FlowImage) -> tuple[Positions, Positions, Plane, Plane]:
        """Positions of `other`'s pixels in `one`, of `one`'s in `other`, and the trust [h, w] in each."""
        to_one = self._positions(other, one)
        to_other = self._positions(one, other)
        return to_one, to_other, _consistency(to_one, to_other), _consistency(to_other, to_one)

    def _positions(self, source: FlowImage, target: FlowImage) -> Positions:
        return self._search.calc(source.image, target.image, None) + grid(*source.image.shape)


def luma_agreement(reference: FlowImage, image: FlowImage, positions: Positions) -> Plane:
    """How well `reference`, sampled at `positions`, matches the luma of `image`: [h, w] in [0, 1].

    A change of exposure over the whole frame, the flicker of old film, is compensated first.
    """
    warped = sample(reference.image, positions).astype(np.float32) / np.float32(255)
    luma = image.image.astype(np.float32) / np.float32(255)
    gain, offset = _exposure(warped, luma)
    warped *= gain
    warped += offset - luma
    error = cv2.blur(cv2.absdiff(warped, 0), (3, 3))
    return np.exp(-np.square(error / LUMA_TOLERANCE))


def sample(plane: NDArray[Any], positions: Positions, into: NDArray[Any] | None = None) -> NDArray[Any]:
    """A plane's values at positions, bilinear; border pixels are repeated outward."""
    return cv2.remap(plane, positions, None, cv2.INTER_LINEAR, dst=into, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=8)
def grid(height: int, width: int) -> Positions:
    """The position of each pixel itself; not to be written to."""
    positions = np.dstack(
        np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    )
    positions.flags.writeable = False
    return positions


@lru_cache(maxsize=8)
def _scale(size: tuple[int, int], other: tuple[int, int]) -> Positions:
    """What positions at one height and width are multiplied by at another, [h, w, 2].

    A full array: NumPy multiplies by one number for each channel six times more slowly.
    """
    factors = np.array([other[1] / size[1], other[0] / size[0]], np.float32)
    return np.ascontiguousarray(np.broadcast_to(factors, (*size, 2)))


def _consistency(there: Positions, back: Positions) -> Plane:
    """Trust in positions, by how near `back` returns to the start: occluded pixels do not return."""
    start = grid(*there.shape[:2])
    error, motion = _square_length(sample(back, there) - start), _square_length(there - start)
    return np.exp(-error / (CONSISTENCY**2 + CONSISTENCY_PER_MOTION * motion))


def _square_length(vectors: Positions) -> Plane:
    """[h, w, 2] -> [h, w]. NumPy's sum along so short an axis takes forty times as long."""
    squares = np.square(vectors, out=vectors)
    return squares[..., 0] + squares[..., 1]


def _exposure(warped: Plane, image: Plane) -> tuple[float, float]:
    """Gain and offset that match the mean and the standard deviation of luma, within limits."""
    (mean,), (deviation,) = (part[:, 0] for part in cv2.meanStdDev(warped))
    (target_mean,), (target_deviation,) = (part[:, 0] for part in cv2.meanStdDev(image))
    gain = float(np.clip(target_deviation / max(deviation, 1e-3), LEAST_GAIN, MOST_GAIN))
    return gain, float(np.clip(target_mean - gain * mean, -MOST_OFFSET, MOST_OFFSET))
