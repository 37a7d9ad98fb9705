"""Chroma that limits take from 8x8 squares whose pixels share samples, given back where there is room.

A shared sample reaches beyond its own pixels, because decoders interpolate. Limited by all that it reaches,
it can lose much beside black and white, and in grain. So the samples of a square that loses much are
strengthened up to their limits. If that is not enough, only their own pixels limit them; what would then clip
at pixels of the neighbors is found by interpolation, and taken back.
"""

from functools import reduce
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane, gamut_scale, reach
from colorcli.images.codecs.jpeg.gamut import clipping, limits
from colorcli.images.codecs.jpeg.plane import BLOCK, PEAK, Bytes, Mask

CLIPPED_SHARED = 0.5
"""Code values of gray that clipping may take by the limits of shared samples; the rest of what it may take is
left for rounding."""
CLIPPED_BETWEEN = 0.8
"""The same at a pixel whose chroma is interpolated between samples that only their own pixels limit."""
LOST = 0.07
"""Share of a square's chroma from which on what the limits took is given back."""
STRONGEST = 2
"""The factor by which samples with room are strengthened at most."""
ROUNDS = 4
"""Steps towards that factor: samples reach their limits on the way."""


class Squares(NamedTuple):
    """8x8 pixels each, in a band of chroma samples."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def restored(
    scale: Plane, chroma: Plane, luma: Bytes, darkest: Plane, brightest: Plane
) -> tuple[Plane, Mask]:
    """Factors [n, h, w] for squares of chroma [2, n, h, w] of which the limits `scale` [n, h, w] take much.

    `luma`: of their 8x8 pixels [n, 8, 8]. Together, a square's samples get the chroma that its pixels would
    have if each of them had its own. Of the squares of the mask [n], only their own pixels limit samples.
    """
    strength = cv2.magnitude(*(plane.reshape(len(luma), -1) for plane in chroma))
    wanted = _strength_of_pixels(chroma, strength, luma)
    factors = scale.reshape(strength.shape).copy()
    across, down = BLOCK // scale.shape[2], BLOCK // scale.shape[1]
    loose = np.zeros(len(luma), bool)
    for by_own in (False, True):
        left = np.flatnonzero(_means(strength * factors) < (1 - LOST) * wanted)
        if not len(left):
            break
        loose[left] = by_own
        extremes = own_extremes(luma[left], across, down) if by_own else (darkest[left], brightest[left])
        low, high = (plane.astype(np.float32).ravel() for plane in extremes)
        flat = np.stack([plane[left].ravel() for plane in chroma])
        some = strength[left]
        most = limits(flat, low, high, CLIPPED_SHARED).reshape(some.shape)
        factor = np.ones(len(left), np.float32)
        for _ in range(ROUNDS):
            shown = _means(some * np.minimum(factor[:, None], most))
            factor *= wanted[left] / np.maximum(shown, 1e-3)
            np.clip(factor, 1, STRONGEST, out=factor)
        factors[left] = np.minimum(factor[:, None], most)
    return factors.reshape(scale.shape), loose


def own_extremes(luma: Bytes, across: int, down: int) -> tuple[Bytes, Bytes]:
    """The darkest and brightest pixel of each sample's own, of squares [n, 8, 8]."""
    parts = [luma[:, row::down, column::across] for row in range(down) for column in range(across)]
    return reduce(np.minimum, parts), reduce(np.maximum, parts)


def weaken_between(chroma: Plane, pixels: Bytes, squares: Squares, across: int, down: int) -> None:
    """Weaken the samples of squares of a band [2, n, w] by which pixels that they reach would visibly clip.

    `pixels`: luma of the band. Samples of other squares stay as they are.
    """
    samples = _numbers(squares, (BLOCK // down, BLOCK // across), chroma.shape[1:])
    luma = pixels.take(_numbers(squares, (BLOCK, BLOCK), pixels.shape))
    flat = chroma.reshape(2, -1)
    part = flat.take(samples, axis=1)
    above, below = (_largest(plane) for plane in reach(part))
    at_risk = np.flatnonzero((luma > PEAK - above) | (luma < below))
    shown = _upsampled(_upsampled(part.swapaxes(2, 3), down).swapaxes(2, 3), across)
    shown = shown.reshape(2, -1).take(at_risk, axis=1)
    level = luma.take(at_risk).astype(np.float32)
    wrong = np.flatnonzero(clipping(level, level, shown) > CLIPPED_BETWEEN)
    level, at_risk = level[wrong], at_risk[wrong]
    fit = np.ones(luma.shape, np.float32)
    fit.ravel()[at_risk] = limits(shown.take(wrong, axis=1), level, level, CLIPPED_BETWEEN)
    worst = np.unique(at_risk // luma[0].size)
    inner = np.s_[:, 1:-1, 1:-1]
    flat[:, samples[worst][inner]] = part[:, worst][:, *inner] * _least_reached(fit[worst], across, down)


def _largest(planes: Plane) -> Plane:
    """Of each of planes [n, h, w], [n, 1, 1]."""
    return cv2.reduce(planes.reshape(len(planes), -1), 1, cv2.REDUCE_MAX)[:, :, None]


def _numbers(squares: Squares, size: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Positions [n, h + 2, w + 2] in a flat plane: of those of each square, and of those around it."""
    rows, columns = (
        np.clip(part[:, None] * count + np.arange(-1, count + 1), 0, length - 1)
        for part, count, length in zip(squares, size, shape, strict=True)
    )
    return (rows * shape[1])[:, :, None] + columns[:, None, :]


def _upsampled(samples: Plane, step: int) -> Plane:
    """The last axis of a square's samples and those around it -> its pixels and those around it.

    As in libjpeg: three quarters of a pixel's own sample, one quarter of the next one.
    """
    if step == 1:
        return samples
    left, right = samples[..., :-1], samples[..., 1:]
    result = np.empty((*samples.shape[:-1], BLOCK + 2), np.float32)
    result[..., ::2] = left * np.float32(0.75) + right * np.float32(0.25)
    result[..., 1::2] = left * np.float32(0.25) + right * np.float32(0.75)
    return result


def _least_reached(fit: Plane, across: int, down: int) -> Plane:
    """For each sample the least of the factors [n, 10, 10] of its pixels and of those at their sides."""
    rows, columns = ((1, 2) if step == 2 else (1,) for step in (down, across))
    beside = [(row, column) for row in rows for column in ((0, 3) if across == 2 else ())]
    beside += [(row, column) for row in ((0, 3) if down == 2 else ()) for column in columns]
    reached = [*product(rows, columns), *beside]
    parts = (fit[:, row : row + BLOCK : down, column : column + BLOCK : across] for row, column in reached)
    return reduce(np.minimum, parts)


def _strength_of_pixels(chroma: Plane, strength: Plane, luma: Bytes) -> Plane:
    """Mean magnitude [n] of chroma [2, n, h, w] if each pixel of luma [n, 8, 8] limited its own.

    `strength`: magnitude [n, h * w]. Of the pixels that share a sample, two are looked at.
    """
    across, down = BLOCK // chroma.shape[3], BLOCK // chroma.shape[2]
    above, below = (plane.reshape(strength.shape) for plane in reach(chroma))
    total = np.zeros_like(strength)
    for row, column in ((0, 0), (down - 1, across - 1)):
        own = luma[:, row::down, column::across].reshape(strength.shape).astype(np.float32)
        total += gamut_scale(own, own, above, below, PEAK)
    return _means(total * strength) / np.float32(2)


def _means(rows: Plane) -> Plane:
    """Of each of the rows [n, m]: NumPy takes ten times as long if they are short."""
    return cv2.reduce(rows, 1, cv2.REDUCE_AVG)[:, 0]
