"""Which cells of two keyframes show the same thing, by their features, their neighbors and their luma.

Features alone find something alike for every cell, a wall for a face if need be. So a match must be mutual,
its neighbors must lie beside it in the other keyframe, too, their luma must agree, and cells that match
alone or in a small group do not count.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane
from colorcli.models.features import Features

LEAST_ALIKE, SURELY_ALIKE = 0.5, 0.7
"""Dot product of features at which trust rises from 0, and at which it is 1."""
MUTUAL = 1.5
"""Cells by which the way there and back may miss the start."""
AGREEMENT = 1.6
"""Cells by which a neighbor's displacement may differ."""
LEAST_NEIGHBORS = 4
"""Of the eight neighbors that must agree."""
LUMA_TOLERANCE = 0.08
"""Difference of luma, after a change of exposure, above which cells do not match."""
LEAST_FOLLOWING = 0.35
"""Dot product of features at which a cell follows the matches around it: those of even walls are no cell's
best match, and still lie where their neighbors do."""
ROUNDS = 3
"""How often matches spread to cells around them."""
NEARBY = 2.0
"""Sigma in cells over which displacements are averaged."""
LEAST_GROUP = 16
"""Connected cells that count; a group is as large as a head in a medium shot."""
MOST_GAIN, LEAST_GAIN, MOST_OFFSET = 1.4, 0.7, 0.3
"""Limits of the change of exposure."""


SUMMARY = 3
"""Cells to a side of the areas whose features stand for a picture when many are compared."""


@dataclass(frozen=True)
class Matches:
    """Where each cell of one keyframe lies in another."""

    positions: NDArray[np.float32]
    """[rows, columns, 2]: x and y in cells of the other keyframe."""
    trust: Plane
    """[rows, columns] in [0, 1]; 0 where nothing matches."""

    @property
    def coverage(self) -> float:
        """The share of the keyframe that the other one explains."""
        return float(self.trust.mean())

    def everywhere(self) -> NDArray[np.float32]:
        """Positions with those around in place of what matches nothing."""
        start = _cells(np.arange(self.trust.size), self.trust.shape[1]).reshape(self.positions.shape)
        displacement, weight = np.zeros_like(start), np.full(self.trust.shape, 1e-9, np.float32)
        for sigma in (1, 4, 16):  # what is near counts most by far
            share = np.float32(1e-3 ** np.log2(sigma))
            weight += share * cv2.GaussianBlur(self.trust, (0, 0), sigma)
            moved = (self.positions - start) * self.trust[..., None]
            displacement += share * cv2.GaussianBlur(moved, (0, 0), sigma)
        return start + displacement / weight[..., None]

    def sample(self, planes: Plane) -> Plane:
        """Planes [n, rows, columns] of the other keyframe at the matching cells."""
        remap = [cv2.remap(plane, self.positions, None, cv2.INTER_LINEAR) for plane in planes]
        return np.stack(remap) * (self.trust > 0)


def match(features: Features, luma: Plane, other_features: Features, other_luma: Plane) -> Matches:
    """Match the cells of a keyframe, given by features and luma [rows, columns], with another's."""
    rows, columns = luma.shape
    likeness = _products(features, other_features)
    there, back = likeness.argmax(axis=1), cv2.reduceArgMax(likeness, 0)[0]
    best = likeness[np.arange(len(there)), there]
    here = _cells(np.arange(rows * columns), columns)
    positions = _cells(there, other_luma.shape[1])
    returned = np.linalg.norm(_cells(back[there], columns) - here, axis=-1)
    shape = (rows, columns)
    is_match = ((returned <= MUTUAL) & (best >= LEAST_ALIKE)).reshape(shape)
    displacement = (positions - here).reshape(rows, columns, 2)
    count, mean = _agreeing_neighbors(displacement, is_match)
    is_match &= count >= LEAST_NEIGHBORS
    is_match &= _luma_agrees(luma, other_luma.ravel()[there].reshape(shape), is_match)
    is_match &= _is_in_group(is_match)
    start = here.reshape(rows, columns, 2)
    found = Matches(start + mean, _ramp(best.reshape(shape)) * is_match)
    for _ in range(ROUNDS if is_match.any() else 0):
        found = _spread(found, start, features, luma, other_features, other_luma)
    return found


def summary(features: NDArray[Any]) -> NDArray[np.float32]:
    """Features [n, channels] of n areas of a picture, of length 1."""
    rows, columns, channels = features.shape
    cut = features[: rows // SUMMARY * SUMMARY or 1, : columns // SUMMARY * SUMMARY or 1]
    parts = np.add.reduceat(cut.astype(np.float32), np.arange(0, len(cut), SUMMARY), axis=0)
    parts = np.add.reduceat(parts, np.arange(0, cut.shape[1], SUMMARY), axis=1).reshape(-1, channels)
    unit: NDArray[np.float32] = parts / np.maximum(np.linalg.norm(parts, axis=1, keepdims=True), 1e-6)
    return unit


def likeness_of(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How alike a picture is to another one as a whole, from 0 to 1, by their summaries."""
    return float(_products(one, other).max(axis=1).mean())


def _products(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Dot products of all vectors."""
    rows, columns = (part.reshape(-1, part.shape[-1]) for part in (one, other))
    return rows @ columns.T


def _spread(
    found: Matches,
    start: NDArray[np.float32],
    features: Features,
    luma: Plane,
    other_features: Features,
    other_luma: Plane,
) -> Matches:
    """Matches for the cells around, too, where those lead to what is alike."""
    is_match = found.trust > 0
    weight = cv2.GaussianBlur(np.float32(is_match), (0, 0), NEARBY)
    displacement = cv2.GaussianBlur((found.positions - start) * is_match[..., None], (0, 0), NEARBY)
    positions = start + displacement / np.maximum(weight, 1e-6)[..., None]
    x, y = np.rint(np.moveaxis(positions, -1, 0)).astype(int)
    rows, columns = other_luma.shape
    is_inside = (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
    x, y = x.clip(0, columns - 1), y.clip(0, rows - 1)
    likeness = np.einsum("ijc,ijc->ij", features, other_features[y, x])
    follows = ~is_match & is_inside & (weight > 0.1) & (likeness >= LEAST_FOLLOWING)
    follows &= _luma_agrees(luma, other_luma[y, x], is_match | follows)
    trust = np.where(follows, np.minimum(_ramp(likeness + LEAST_ALIKE - LEAST_FOLLOWING), 1), found.trust)
    return Matches(np.where(follows[..., None], positions, found.positions), trust.astype(np.float32))


def _ramp(likeness: NDArray[np.float32]) -> Plane:
    """Trust by likeness."""
    ramp: Plane = np.clip((likeness - LEAST_ALIKE) / (SURELY_ALIKE - LEAST_ALIKE), 0, 1)
    return ramp


def _cells(indices: NDArray[Any], columns: int) -> NDArray[np.float32]:
    """x and y [n, 2] of cells by their index."""
    return np.stack([indices % columns, indices // columns], axis=-1).astype(np.float32)


def _agreeing_neighbors(
    displacement: NDArray[np.float32], is_match: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How many of a cell's eight neighbors have about its displacement, and the mean with theirs."""
    rows, columns = is_match.shape
    padded, matched = np.pad(displacement, ((1, 1), (1, 1), (0, 0))), np.pad(is_match, 1)
    count, total = np.zeros((rows, columns), np.float32), displacement.copy()
    for y in range(3):
        for x in range(3):
            if (x, y) == (1, 1):
                continue
            near = padded[y : y + rows, x : x + columns]
            agrees = matched[y : y + rows, x : x + columns]
            agrees = agrees & (np.linalg.norm(near - displacement, axis=-1) <= AGREEMENT)
            count += agrees
            total += near * agrees[..., None]
    return count, total / (count + 1)[..., None]


def _luma_agrees(luma: Plane, other: Plane, is_match: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where luma is that of the matching cells, given as `other`, but for a change of exposure."""
    if not is_match.any():
        return is_match
    here, there = luma[is_match], other[is_match]
    gain = float(np.clip(here.std() / max(float(there.std()), 1e-3), LEAST_GAIN, MOST_GAIN))
    offset = float(np.clip(here.mean() - gain * there.mean(), -MOST_OFFSET, MOST_OFFSET))
    agrees: NDArray[np.bool_] = np.abs(luma - gain * other - offset) < LUMA_TOLERANCE
    return agrees


def _is_in_group(is_match: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(is_match.astype(np.uint8), connectivity=4)
    large: NDArray[np.bool_] = stats[:, cv2.CC_STAT_AREA] >= LEAST_GROUP
    return is_match & large[labels]
