"""The two chroma planes of a JPEG, limited so that no decoder clips a color and changes its gray.

A decoder adds chroma to luma and clips the sum to [0, 255], which changes the gray. So chroma is fitted to
the darkest and brightest of all pixels that share it. Quantization then moves it a little: the blocks in
which that could matter are fitted to it as well (chroma_fit.py).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import BT601, Plane, color_difference, gamut_scale, reach
from colorcli.images.chroma import GuidedChroma
from colorcli.images.codecs.jpeg.chroma_fit import (
    EXACT,
    FIRST_ATTEMPTS,
    GRAY_PER_CHROMA,
    WEAK,
    Coding,
    Samples,
    correct,
    faint_blocks,
    fit_blocks,
    largest_error,
    moved_blocks,
)
from colorcli.images.codecs.jpeg.plane import (
    BLOCK,
    GRAY,
    PEAK,
    Bytes,
    Mask,
    blocks_at,
    blocks_with,
    encode_plane,
    in_blocks,
    padded_to,
)
from colorcli.images.raster import BAND_PIXELS

CLIPPED = 0.9
"""Code values of gray that clipping may take: with the half that rounding takes, the sum stays below 1.5, so
that gray is off by one at most."""
CLIPPED_AS_KNOWN = 0.7
"""The same where libjpeg's rounding is followed to the last bit. In other decoders gray may be off by two in
a few pixels of a million; with 0.4 it is not in FFmpeg, but files are a twentieth larger."""
CLIPPED_SHARED = 0.5
"""Code values of gray that clipping may take at the darkest and brightest pixel of those that share a sample;
the rest of what it may take is left for rounding. Without it, blocks beside black and white turn gray."""
ROUNDED_UP = 0.25
"""Shared samples are moved away from gray by this much, because rounding to whole code values would take a
tenth of faint chroma from whole blocks: their samples are too alike to be rounded differently."""
FULLY_FROM = 3
"""Code values of chroma from which on `ROUNDED_UP` is fully added."""
VISIBLE = 0.8
"""Code values of gray that clipping may take in a toned source before its toning is kept there."""
SHARED_STEP = 2
"""Chroma at half its size has no coarser steps than this: it makes large scans a sixth larger than their gray
source."""
FULL_SIZE_STEPS = [3 + sum(divmod(position, BLOCK)) / 2 for position in range(64)]
"""Steps for chroma at full size, from 3 for the mean to 10 for the highest frequency: it makes small scans a
quarter larger. With coarser ones, some blocks beside white and black cannot be fitted."""
STRONG, STRONGEST = 12, 1.7
"""Mean magnitude of chroma in code values from which on steps grow with it, and by how much at most."""
BATCH = 4096
"""Blocks that are fitted at once."""
BAND_SAMPLES = 2 * BAND_PIXELS
"""Chroma samples that are computed at once."""
HELD_BANDS = 4
"""Bands with subsampled chroma that are checked together; each takes two megabytes."""


class Sampling(NamedTuple):
    """Luma samples that share a chroma sample: 1 or 2 each."""

    across: int
    down: int


FULL_SIZE = Sampling(1, 1)
Positions = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns of 8x8 blocks."""
Shared = tuple[Bytes, Bytes, Bytes]
"""Mean, darkest and brightest luma [n, w] of the pixels that share a sample."""


@dataclass(frozen=True)
class Planes:
    samples: Bytes
    """Cb and Cr [2, h, w] in code values, padded to whole blocks with their last row and column."""
    steps: list[int]
    """Quantization steps with which they have to be encoded, 64, row by row."""

    def encode(self, progressive: bool) -> tuple[bytes, bytes]:
        """Cb and Cr as gray JPEGs."""
        cb, cr = (encode_plane(plane, self.steps, progressive) for plane in self.samples)
        return cb, cr


def chroma_steps(luma: Sequence[int], sampling: Sampling, strength: float) -> list[int]:
    """Quantization steps for chroma beside luma with these steps (the source's coarsest): 64 each.

    `strength`: mean magnitude of chroma in code values.
    """
    if sampling != FULL_SIZE:
        return [min(step, SHARED_STEP) for step in luma]
    factor = min(max(1, strength / STRONG), STRONGEST)
    fine = [round(factor * step) for step in FULL_SIZE_STEPS]
    return [max(own, min(round(step / 4), 2 * own)) for step, own in zip(luma, fine, strict=True)]


def chroma_planes(
    luma: Bytes,
    fit: GuidedChroma,
    sampling: Sampling,
    steps: list[int],
    spare: float = CLIPPED,
    toning: Bytes | None = None,
) -> Planes:
    """Luma [H, W] -> chroma as a JPEG stores it, fitted into the gamut and to quantization by `steps`.

    `spare`: code values of gray that clipping may take. If that is less than usual, the steps are 1.
    `toning`: Cb and Cr [2, h, w] of a toned source, at the size at which they will be stored.
    """
    height, width = -(-luma.shape[0] // sampling.down), -(-luma.shape[1] // sampling.across)
    padded = padded_to(luma, BLOCK * sampling.down, BLOCK * sampling.across)
    rows, columns = padded.shape[0] // sampling.down, padded.shape[1] // sampling.across
    bands: Iterable[tuple[slice, Shared]] = (
        (band, _shared(padded, sampling, band)) for band in _bands(rows, columns)
    )
    kept = None
    if toning is not None:
        toning = padded_to(toning, BLOCK, BLOCK)
        bands = list(bands)
        kept = np.concatenate([_clips(*shared[1:], toning[:, band]) for band, shared in bands])
        if sampling != FULL_SIZE and kept.any():
            # A pixel's chroma is interpolated between its sample and the neighbors: all of them have to be
            # kept, and to the code value, or they clip differently than in the source.
            kept = cv2.dilate(kept.view(np.uint8), _kernel(sampling, 3)).view(bool)
            steps = EXACT
    coding = Coding(EXACT if spare < CLIPPED else steps, spare, shared=True)
    if sampling == FULL_SIZE:
        coding = replace(coding, tolerance=min(spare, CLIPPED_AS_KNOWN), shared=False)
    fitter = _Fitter(rows, columns, coding)
    upsampler = fit.upsampler(height, width, PEAK, columns)
    for band, (small, darkest, brightest) in bands:
        chroma = upsampler.rows(small.astype(np.float32), band.start)
        if coding.shared and toning is None:
            chroma += np.clip(chroma * np.float32(ROUNDED_UP / FULLY_FROM), -ROUNDED_UP, ROUNDED_UP)
        clipped = CLIPPED_SHARED if coding.shared and toning is None else 0
        at_risk = _into_gamut(chroma, darkest, brightest, clipped, fitter.ringing)
        source = toning[:, band] if toning is not None else np.broadcast_to(np.uint8(GRAY), chroma.shape)
        here = np.broadcast_to(False, small.shape) if kept is None else kept[band]
        if kept is not None and here.any():
            at_risk |= here
            np.copyto(chroma, source.astype(np.float32) - GRAY, where=here)
        fitter.add(band.start, Samples(chroma, darkest, brightest, source, here), at_risk)
        if fitter.worst < coding.required_share:
            break
    planes = fitter.finished()
    if fitter.worst < coding.required_share:
        return chroma_planes(luma, fit, sampling, coding.finer, spare, toning)
    return planes


def _bands(height: int, width: int) -> Iterator[slice]:
    """The rows of a plane from top to bottom, in bands of whole blocks and about `BAND_SAMPLES`."""
    rows = max(BLOCK, BAND_SAMPLES // width // BLOCK * BLOCK)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _into_gamut(chroma: Plane, darkest: Bytes, brightest: Bytes, clipped: float, ringing: float) -> Mask:
    """Scale chroma [2, n, w], in place, so that clipping takes at most `clipped` code values of gray.

    Returns which samples quantization could push out.
    """
    low, high = (plane.astype(np.float32) for plane in (darkest, brightest))
    above, below = reach(chroma)
    excess = np.maximum(above + high - PEAK, below - low)
    # Few samples leave the gamut: only these are worth the time of a division.
    out = np.flatnonzero(excess > 0)
    low, high = low.take(out), high.take(out)
    scale = gamut_scale(low, high, above.take(out), below.take(out), PEAK)
    if clipped:
        # What clipping takes is a convex function of the scale, so its chord is never below it.
        taken = _clipping(low, high, np.stack([plane.take(out) for plane in chroma]))
        scale += (1 - scale) * np.minimum(clipped / np.maximum(taken, 1e-6), 1)
    for plane in chroma:
        plane.ravel()[out] *= scale
    return excess > -ringing


def _clips(darkest: Bytes, brightest: Bytes, chroma: Bytes) -> Mask:
    """Samples [n, w] of a toned source's chroma [2, n, w] at which decoders visibly clip."""
    corners = np.array(list(product(*((plane.min(), plane.max()) for plane in chroma))), np.float32).T - GRAY
    above, below = (math.ceil(difference.max()) for difference in reach(corners))
    # Few samples are so bright or dark that their chroma could clip: only these are examined.
    candidates = np.flatnonzero((brightest > PEAK - above) | (darkest < below))
    low, high, cb, cr = (plane.take(candidates).astype(np.float32) for plane in (darkest, brightest, *chroma))
    clips = np.zeros(darkest.shape, bool)
    clips.ravel()[candidates] = _clipping(low, high, np.stack([cb, cr]) - GRAY) > VISIBLE
    return clips


def _clipping(darkest: Plane, brightest: Plane, chroma: Plane) -> Plane:
    """Code values of gray that clipping takes from pixels [n] of chroma [2, n]."""
    difference = color_difference(chroma)
    weights = np.array([BT601.kr, BT601.kg, BT601.kb], np.float32)
    too_bright = weights @ np.maximum(brightest + difference - PEAK, 0)
    too_dark = weights @ np.maximum(-darkest - difference, 0)
    return np.asarray(np.maximum(too_bright, too_dark))


def _shared(luma: Bytes, sampling: Sampling, band: slice) -> Shared:
    """Mean, darkest and brightest luma of the pixels that use each chroma sample of a band.

    libjpeg upsamples with a triangle filter, which spreads a sample one pixel beyond its own two.
    """
    across, down = sampling.across, sampling.down
    own = luma[band.start * down : band.stop * down]
    if sampling == FULL_SIZE:
        return own, own, own
    size = (own.shape[1] // across, len(own) // down)
    kernel = _kernel(sampling, 4)
    above = min(1, band.start)
    reached = luma[band.start * down - above : band.stop * down + 1]
    step = (slice(above, above + len(own), down), slice(None, None, across))
    darkest, brightest = (
        change(reached, kernel, anchor=(across - 1, down - 1))[step] for change in (cv2.erode, cv2.dilate)
    )
    return cv2.resize(own, size, interpolation=cv2.INTER_AREA), darkest, brightest


def _kernel(sampling: Sampling, count: int) -> Bytes:
    """Ones over `count` samples in each direction in which samples are shared."""
    return np.ones([1 if step == 1 else count for step in (sampling.down, sampling.across)], np.uint8)


class _Fitter:
    """Collects chroma planes: most blocks are only rounded; those at risk are fitted in batches."""

    def __init__(self, height: int, width: int, coding: Coding) -> None:
        self._samples = np.empty((2, height, width), np.uint8)
        self._coding = coding
        self._bands: list[tuple[int, Samples, Positions]] = []
        self._waiting: list[tuple[Positions, Samples]] = []
        self._stubborn: list[tuple[Positions, Samples]] = []
        self.worst = 1.0
        """The share of its chroma that the worst block keeps; -1 if one visibly clips."""
        self.ringing = (largest_error(coding.steps) * GRAY_PER_CHROMA - coding.tolerance) / (
            BT601.kr + BT601.kb
        )
        """A color that is farther inside the gamut cannot be moved so far out of it that gray visibly
        changes: gray changes most where red and blue are clipped together."""

    def add(self, top: int, samples: Samples, at_risk: Mask) -> None:
        """Samples [n, w] of the rows from `top` on, in whole blocks."""
        rounded = self._round(top, samples.wanted)
        chosen = blocks_with(at_risk) & blocks_with((rounded[0] != GRAY) | (rounded[1] != GRAY))
        if not self._coding.shared:
            chosen |= faint_blocks(samples.wanted)
        rows, columns = np.nonzero(chosen)
        if len(rows):
            self._bands.append((top, samples, (rows, columns)))
        candidates = sum(len(rows) for _, _, (rows, _) in self._bands)
        if candidates >= BATCH or len(self._bands) >= HELD_BANDS or not self._coding.shared:
            self._examine()

    def _examine(self) -> None:
        """Queue the chosen blocks of the bands at hand; those of shared samples only if coding moves them."""
        bands, self._bands = self._bands, []
        if self._coding.shared and bands:
            blocks = [blocks_at(self._samples, rows + top // BLOCK, cols) for top, _, (rows, cols) in bands]
            moved = moved_blocks(np.concatenate(blocks), self._coding.steps)
            parts = np.split(moved, np.cumsum([len(part) for part in blocks])[:-1])
        else:
            parts = [np.ones(len(rows), bool) for _, _, (rows, _) in bands]
        for (top, samples, (rows, columns)), part in zip(bands, parts, strict=True):
            if part.any():
                self._queue(top, samples, (rows[part], columns[part]))

    def _queue(self, top: int, samples: Samples, positions: Positions) -> None:
        rows, columns = positions
        blocks = samples.each(lambda plane: blocks_at(plane, rows, columns))
        self._waiting.append(((rows + top // BLOCK, columns), blocks))
        if _count(self._waiting) >= BATCH:
            self._fit_waiting()

    def finished(self) -> Planes:
        self._examine()
        self._fit_waiting()
        self._fit_stubborn()
        return Planes(self._samples, self._coding.steps)

    def _round(self, top: int, chroma: Plane) -> Bytes:
        """Chroma [2, n, w] of the rows from `top` on as code values."""
        rounded = self._samples[:, top : top + chroma.shape[1]]
        for plane, target in zip(chroma, rounded, strict=True):
            target[:] = cv2.convertScaleAbs(plane, alpha=1, beta=GRAY)
        return rounded

    def _fit_waiting(self) -> None:
        """Fit what is easy to fit, and put the rest aside."""
        if not self._waiting:
            return
        positions, blocks = _joined(self._waiting)
        self._waiting = []
        encoded, kept_shares = correct(blocks, self._coding, FIRST_ATTEMPTS)
        self._write(positions, encoded)
        stubborn = np.flatnonzero(kept_shares < WEAK)
        if len(stubborn):
            rows, columns = positions
            self._stubborn.append(((rows[stubborn], columns[stubborn]), blocks.at(stubborn)))
        if _count(self._stubborn) >= BATCH:
            self._fit_stubborn()

    def _fit_stubborn(self) -> None:
        if not self._stubborn:
            return
        positions, blocks = _joined(self._stubborn)
        self._stubborn = []
        encoded, kept_shares = fit_blocks(blocks, self._coding)
        self._write(positions, encoded)
        self.worst = min(self.worst, float(kept_shares.min()))

    def _write(self, positions: Positions, encoded: Bytes) -> None:
        rows, columns = positions
        for number, plane in enumerate(self._samples):
            in_blocks(plane)[rows, :, columns] = encoded[:, number]


def _count(parts: list[tuple[Positions, Samples]]) -> int:
    return sum(len(blocks.kept) for _, blocks in parts)


def _joined(parts: list[tuple[Positions, Samples]]) -> tuple[Positions, Samples]:
    positions, blocks = zip(*parts, strict=True)
    rows, columns = (np.concatenate(numbers) for numbers in zip(*positions, strict=True))
    return (rows, columns), Samples.joined(blocks)
