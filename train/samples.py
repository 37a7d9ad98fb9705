"""Training samples as numbers: which crop of which picture, how it is changed, and where hints lie.

A sample depends only on the seed and on its position in the order, so that a resumed run trains on exactly
what an uninterrupted run would have trained on. `train.render` makes its pixels, on any device.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from colorcli.color.simulated_hints import Points, Region, draw_hints
from colorcli.train.degrade import draw_faults, draw_gray

Rng = np.random.Generator
JOIN_PROB = 0.25
"""Share of the samples that consist of parts of two pictures."""
WARP_PROB, GAMMA_PROB, CONTRAST_PROB = 0.6, 0.6, 0.3
WIDEST_STEP = 1.5
"""Longest distance, in pixels of the picture, between the points that a crop takes from it."""


@dataclass(frozen=True)
class View:
    """One crop of one picture."""

    picture: int
    """Index in the pack."""
    matrix: NDArray[np.float64]
    """[3, 3], homography of (x, y) from the crop, as the unit square, to the picture in pixels."""
    points: int
    """Points along each side of a pixel of the crop, whose mean is its color: an area filter."""
    gamma: float = 1.0
    contrast: float = 1.0
    """Factor on the distance from middle gray, after gamma."""
    shift: float = 0.0


@dataclass(frozen=True)
class Seam:
    """The second picture of a sample: the context of one says nothing about the other."""

    view: View
    axis: int
    """0: it is below the first; 1: right of it."""
    start: int
    """First row or column of the second picture."""


@dataclass(frozen=True)
class Damage:
    """What an old picture has gone through."""

    gray: NDArray[np.float64]
    """[3], weights of R', G', B' in its luma."""
    faults: Mapping[str, Sequence[float]]
    """Numbers of each fault, by the fault's name in `degrade.FAULTS`."""


@dataclass(frozen=True)
class Sample:
    """Everything random about one training sample."""

    view: View
    seam: Seam | None
    damage: Damage | None
    hints: Points | Region | None


class Samples(Dataset[Sample]):
    """Endless, seeded sequence of samples; each epoch shows every picture once."""

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        indices: Sequence[int],
        size: int,
        degrade_prob: float,
        seed: int,
        *,
        plain: bool = False,
    ) -> None:
        """`shapes` are height and width of all pictures, `indices` those to show, `size` is a crop's side.

        Samples that are `plain` are neither warped nor joined, and keep their exposure.
        """
        self.shapes, self.indices, self.size = shapes, np.asarray(indices), size
        self.degrade_prob, self.seed, self.plain = degrade_prob, seed, plain
        self._latest = -1, self.indices

    def __getitem__(self, position: int) -> Sample:
        epoch, place = divmod(position, len(self.indices))
        rng = np.random.default_rng((self.seed, epoch, place))
        view, seam = self._view(int(self._order(epoch)[place]), rng), None
        if not self.plain and rng.random() < JOIN_PROB:
            second = self._view(int(rng.choice(self.indices)), rng)
            seam = Seam(second, int(rng.integers(0, 2)), round(self.size * rng.uniform(0.3, 0.7)))
        is_damaged = rng.random() < self.degrade_prob
        damage = Damage(draw_gray(rng), draw_faults(rng, self.size)) if is_damaged else None
        return Sample(view, seam, damage, draw_hints(self.size, self.size, rng))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The pictures of an epoch; the latest order is kept, because shuffling takes as long as a crop."""
        if self._latest[0] != epoch:
            self._latest = epoch, np.random.default_rng((self.seed, epoch)).permutation(self.indices)
        return self._latest[1]

    def _view(self, picture: int, rng: Rng) -> View:
        height, width = self.shapes[picture]
        return draw_view(picture, height, width, self.size, rng, plain=self.plain)


def draw_view(picture: int, height: int, width: int, size: int, rng: Rng, *, plain: bool = False) -> View:
    """A random crop of a picture: at least 30 % of the area, random aspect, often mirrored.

    Most crops that are not `plain` are also warped and change exposure, because a long run shows each picture
    many times.
    """
    warp = _unwarp(height, width, rng) if not plain and rng.random() < WARP_PROB else np.eye(3)
    area = height * width * rng.uniform(0.3, 1)
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    crop_height, crop_width = min(height, math.sqrt(area / aspect)), min(width, math.sqrt(area * aspect))
    top, left = rng.uniform(0, height - crop_height), rng.uniform(0, width - crop_width)
    crop = np.array([[crop_width, 0, left], [0, crop_height, top], [0, 0, 1]])
    mirror = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]) if rng.random() < 0.5 else np.eye(3)
    points = math.ceil(max(crop_height, crop_width) / size / WIDEST_STEP)
    return View(picture, warp @ crop @ mirror, points, *(() if plain else _draw_exposure(rng)))


def _unwarp(height: int, width: int, rng: Rng) -> NDArray[np.float64]:
    """From a picture rotated by up to 15 degrees, with a slight perspective, back to the picture."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-15, 15), 1.0)
    moved = cv2.transform(corners[None], rotation)[0] + rng.uniform(-0.06, 0.06, (4, 2)) * (width, height)
    return cv2.getPerspectiveTransform(moved.astype(np.float32), corners)


def _draw_exposure(rng: Rng) -> tuple[float, float, float]:
    """Gamma for 60 % of the crops, contrast and shift for 30 %."""
    gamma = math.exp(rng.uniform(-0.35, 0.35)) if rng.random() < GAMMA_PROB else 1.0
    if rng.random() < CONTRAST_PROB:
        return gamma, rng.uniform(0.75, 1.2), rng.uniform(-0.06, 0.06)
    return gamma, 1.0, 0.0
