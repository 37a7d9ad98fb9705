"""Chroma planes, band by band: most blocks are only rounded, those at risk are fitted in batches."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import BT601, Plane, reach
from colorcli.images.codecs.jpeg.chroma_fit import (
    FIRST_ATTEMPTS,
    GRAY_PER_CHROMA,
    WEAK,
    Coding,
    Samples,
    correct,
    fit_blocks,
    largest_error,
    moved_blocks,
    visibly_clipped,
    weak_blocks,
)
from colorcli.images.codecs.jpeg.gamut import excess_of_blocks, limits
from colorcli.images.codecs.jpeg.plane import (
    BLOCK,
    GRAY,
    PEAK,
    Bytes,
    blocks_at,
    blocks_with,
    decoded_gray,
    encode_plane,
    write_blocks,
)
from colorcli.images.codecs.jpeg.restore import (
    CLIPPED_SHARED,
    LOST,
    Squares,
    own_extremes,
    restored,
    weaken_between,
)

BATCH = 4096
"""Blocks that are fitted at once."""
HELD_BANDS = 2
"""Bands with subsampled chroma that are checked together; each takes four megabytes."""


class Sampling(NamedTuple):
    """Luma samples that share a chroma sample: 1 or 2 each."""

    across: int
    down: int


FULL_SIZE = Sampling(1, 1)


class Positions(NamedTuple):
    """Of n 8x8 blocks."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def at(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Positions":
        return Positions(self.rows[chosen], self.columns[chosen])


Blocks = tuple[Positions, Samples]


class Fitter:
    """Rounds chroma to code values, in the gamut before and after quantization."""

    def __init__(
        self, height: int, width: int, sampling: Sampling, coding: Coding, *, restoring: bool = False
    ) -> None:
        """For planes [height, width] of chroma.

        `restoring`: squares get back what limits take, as in `restored`.
        """
        self._planes = np.empty((2, height, width), np.uint8)
        self._sampling = sampling
        self._coding = coding
        self._restoring = restoring
        self._bands: list[tuple[int, Samples, Positions]] = []
        self._waiting: list[Blocks] = []
        self._stubborn: list[Blocks] = []
        self.worst = 1.0
        """The share of its chroma that the worst block keeps; -1 if one visibly clips."""
        # A color that is farther inside the gamut cannot be moved so far out of it that gray visibly changes:
        # gray changes most where red and blue are clipped together.
        moved = largest_error(coding.steps) * GRAY_PER_CHROMA - coding.tolerance
        self._margin = moved / (BT601.kr + BT601.kb) if coding.shared else 0

    def add(self, top: int, samples: Samples, pixels: Bytes) -> None:
        """Samples [n, w] of the rows from `top` on, in whole blocks, and the luma of their pixels."""
        rounded = self._planes[:, top : top + samples.wanted.shape[1]]
        for plane, target in zip(samples.wanted, rounded, strict=True):
            target[:] = cv2.convertScaleAbs(plane, alpha=1, beta=GRAY)
        excess = excess_of_blocks(rounded, samples.darkest, samples.brightest)
        outside = Positions(*np.nonzero(excess > 0))
        if len(outside.rows):
            self._limit(samples, pixels, outside, top)
        if self._coding.shared:
            at_risk = (excess > -self._margin) | blocks_with(samples.kept)
            self._bands.append((top, samples, Positions(*np.nonzero(at_risk))))
            if len(self._bands) >= HELD_BANDS:
                self._examine()
        else:
            self._check(top, samples, rounded)

    def finished(self) -> Bytes:
        """The planes [2, height, width] in code values."""
        self._examine()
        self._fit_waiting()
        self._fit_stubborn()
        return self._planes

    def _limit(self, samples: Samples, pixels: Bytes, positions: Positions, top: int) -> None:
        """Scale the chroma of blocks into the gamut."""
        wanted, darkest, brightest, kept = (
            blocks_at(plane, *positions)
            for plane in (samples.wanted, samples.darkest, samples.brightest, samples.kept)
        )
        chroma = np.ascontiguousarray(wanted.swapaxes(0, 1))
        low, high = (plane.astype(np.float32) for plane in (darkest, brightest))
        above, below = reach(chroma)
        # Few samples leave the gamut: only these are worth the time of a division.
        out = np.flatnonzero((np.maximum(above + high - PEAK, below - low) > 0) & ~kept)
        limited = np.stack([plane.take(out) for plane in chroma])
        scale = np.ones(low.shape, np.float32)
        clipped = CLIPPED_SHARED if self._restoring else 0
        scale.ravel()[out] = limits(limited, low.take(out), high.take(out), clipped)
        loose = self._restore(scale, (chroma, low, high), pixels, positions) if self._restoring else None
        wanted *= scale[:, None]
        write_blocks(samples.wanted, *positions, wanted)
        write_blocks(self._planes, *_below(positions, top), _rounded(wanted))
        if loose is not None and len(loose.rows):
            self._loosen(samples, pixels, loose, top)

    def _restore(
        self, scale: Plane, blocks: tuple[Plane, Plane, Plane], pixels: Bytes, positions: Positions
    ) -> Squares:
        """Give back what the scale [n, 8, 8] takes of the chroma of squares of 8x8 pixels.

        `blocks`: their chroma, and the luma of their darkest and brightest pixels.

        Returns: squares whose samples only their own pixels limit.
        """
        across, down = self._sampling
        rest = cv2.resize(
            scale.reshape(-1, BLOCK), (across, down * len(scale)), interpolation=cv2.INTER_AREA
        ).reshape(-1, down, across)
        block, row, column = np.nonzero(rest < 1 - LOST)
        squares = Squares(positions.rows[block] * down + row, positions.columns[block] * across + column)
        if not len(block):
            return squares
        luma = blocks_at(pixels, *squares)
        shape = (len(scale), down, BLOCK // down, across, BLOCK // across)
        at = (block, row, slice(None), column)
        own, cb, cr, low, high = (plane.reshape(shape)[at] for plane in (scale, *blocks[0], *blocks[1:]))
        scale.reshape(shape)[at], loose = restored(own, np.stack([cb, cr]), luma, low, high)
        return Squares(*(part[loose] for part in squares))

    def _loosen(self, samples: Samples, pixels: Bytes, squares: Squares, top: int) -> None:
        """Let only their own pixels limit the samples of these squares, as far as the others allow it."""
        across, down = self._sampling
        weaken_between(samples.wanted, pixels, squares, across, down)
        height, width = BLOCK // down, BLOCK // across
        rows = (squares.rows[:, None] * height + np.arange(height))[:, :, None]
        columns = (squares.columns[:, None] * width + np.arange(width))[:, None]
        extremes = own_extremes(blocks_at(pixels, *squares), across, down)
        samples.darkest[rows, columns], samples.brightest[rows, columns] = extremes
        self._planes[:, rows + top, columns] = _rounded(samples.wanted[:, rows, columns])

    def _check(self, top: int, samples: Samples, rounded: Bytes) -> None:
        """Queue the blocks that visibly clip or lose color when they are decoded."""
        decoded = np.stack(
            [decoded_gray(encode_plane(plane, self._coding.steps, progressive=False)) for plane in rounded]
        )
        wrong = weak_blocks(samples.wanted, decoded)
        unsure = Positions(*np.nonzero(excess_of_blocks(decoded, samples.darkest, samples.brightest) > 0))
        if len(unsure.rows):
            blocks = samples.each(lambda plane: blocks_at(plane, *unsure))
            shown = blocks_at(decoded, *unsure).astype(np.float32) - GRAY
            wrong[unsure] |= visibly_clipped(blocks, shown, self._coding).any(axis=(1, 2))
        self._queue(top, samples, Positions(*np.nonzero(wrong | blocks_with(samples.kept))))

    def _examine(self) -> None:
        """Queue those blocks of the bands at hand that coding moves."""
        bands, self._bands = self._bands, []
        blocks = [blocks_at(self._planes, *_below(positions, top)) for top, _, positions in bands]
        if not sum(map(len, blocks)):
            return
        moved = moved_blocks(np.concatenate(blocks), self._coding.steps)
        ends = np.cumsum([len(part) for part in blocks])[:-1]
        for (top, samples, positions), part in zip(bands, np.split(moved, ends), strict=True):
            self._queue(top, samples, positions.at(part))

    def _queue(self, top: int, samples: Samples, positions: Positions) -> None:
        if len(positions.rows):
            blocks = samples.each(lambda plane: blocks_at(plane, *positions))
            self._waiting.append((_below(positions, top), blocks))
        if _count(self._waiting) >= BATCH:
            self._fit_waiting()

    def _fit_waiting(self) -> None:
        """Fit what is easy to fit, and put the rest aside."""
        if not self._waiting:
            return
        positions, blocks = _joined(self._waiting)
        self._waiting = []
        encoded, kept_shares = correct(blocks, self._coding, FIRST_ATTEMPTS)
        write_blocks(self._planes, *positions, encoded)
        stubborn = np.flatnonzero(kept_shares < WEAK)
        if len(stubborn):
            self._stubborn.append((positions.at(stubborn), blocks.at(stubborn)))
        if _count(self._stubborn) >= BATCH:
            self._fit_stubborn()

    def _fit_stubborn(self) -> None:
        if not self._stubborn:
            return
        positions, blocks = _joined(self._stubborn)
        self._stubborn = []
        encoded, kept_shares = fit_blocks(blocks, self._coding)
        write_blocks(self._planes, *positions, encoded)
        self.worst = min(self.worst, float(kept_shares.min()))


def _rounded(wanted: Plane) -> Bytes:
    return cv2.convertScaleAbs(wanted.reshape(len(wanted), -1), alpha=1, beta=GRAY).reshape(wanted.shape)


def _below(positions: Positions, top: int) -> Positions:
    return positions._replace(rows=positions.rows + top // BLOCK)


def _count(parts: list[Blocks]) -> int:
    return sum(len(blocks.kept) for _, blocks in parts)


def _joined(parts: list[Blocks]) -> Blocks:
    positions, blocks = zip(*parts, strict=True)
    return Positions(*map(np.concatenate, zip(*positions, strict=True))), Samples.joined(blocks)
