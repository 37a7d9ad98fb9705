"""The two chroma planes of a JPEG, limited so that no decoder clips a color and changes its gray.

A decoder adds chroma to luma and clips the sum to [0, 255], which changes the gray. So chroma is fitted to
the darkest and brightest of all pixels that share it (gamut.py). Quantization then moves it a little: the
blocks in which that could matter are fitted to it as well (chroma_fitter.py, chroma_fit.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from colorcli.images.chroma import GuidedChroma
from colorcli.images.codecs.jpeg.chroma_fit import EXACT, Coding, Samples
from colorcli.images.codecs.jpeg.chroma_fitter import FULL_SIZE, Fitter, Sampling
from colorcli.images.codecs.jpeg.gamut import clips
from colorcli.images.codecs.jpeg.plane import BLOCK, GRAY, PEAK, Bytes, encode_plane, padded_to
from colorcli.images.raster import BAND_PIXELS

CLIPPED = 0.9
"""Code values of gray that clipping may take: with the half that rounding takes, the sum stays below 1.5, so
that gray is off by one at most."""
CLIPPED_AS_KNOWN = 0.7
"""The same where libjpeg's rounding is followed to the last bit. In other decoders gray may be off by two in
a few pixels of a million; with 0.4 it is not in FFmpeg, but files are a twentieth larger."""
ROUNDED_UP = 0.45
"""Shared samples are moved away from gray by this much, because rounding to whole code values would take a
tenth of faint chroma from whole blocks: their samples are too alike to be rounded differently."""
FULLY_FROM = 2
"""Code values of chroma from which on `ROUNDED_UP` is fully added."""
SHARED_STEP = 2
"""Chroma at half its size has no coarser steps than this: it makes large scans a sixth larger than their gray
source."""
FULL_SIZE_STEPS = [3 + sum(divmod(position, BLOCK)) / 2 for position in range(64)]
"""Steps for chroma at full size, from 3 for the mean to 10 for the highest frequency: it makes small scans a
quarter larger. With coarser ones, some blocks beside white and black cannot be fitted."""
STRONG, STRONGEST = 12, 1.7
"""Mean magnitude of chroma in code values from which on steps are coarser, and by how much at most."""
PER_STRENGTH = 0.1
"""How much coarser for each code value: from 1.2 times on, because blocks that cannot be fitted to coarser
steps take a second attempt at the whole picture, and less would hardly be worth it."""
BAND_SAMPLES = 4 * BAND_PIXELS
"""Chroma samples that are computed at once."""


class Shared(NamedTuple):
    """Luma of a band of chroma samples."""

    pixels: Bytes
    """Of the band's pixels, at full size."""
    mean: Bytes
    """Of the pixels that share a sample [n, w], and their darkest and brightest."""
    darkest: Bytes
    brightest: Bytes


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
    factor = min(PER_STRENGTH * strength, STRONGEST) if strength >= STRONG else 1
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
    rows, columns = height + -height % BLOCK, width + -width % BLOCK
    bands: Iterable[tuple[slice, Shared]] = (
        (band, _shared(luma, sampling, band, columns)) for band in _bands(rows, columns)
    )
    kept = None
    if toning is not None:
        toning = padded_to(toning, BLOCK, BLOCK)
        bands = list(bands)
        kept = np.concatenate(
            [clips(shared.darkest, shared.brightest, toning[:, band]) for band, shared in bands]
        )
        if sampling != FULL_SIZE and kept.any():
            # A pixel's chroma is interpolated between its sample and the neighbors: all of them have to be
            # kept, and to the code value, or they clip differently than in the source.
            kept = cv2.dilate(kept.view(np.uint8), _kernel(sampling, 3)).view(bool)
            steps = EXACT
    coding = Coding(EXACT if spare < CLIPPED else steps, spare, shared=True)
    if sampling == FULL_SIZE:
        coding = replace(coding, tolerance=min(spare, CLIPPED_AS_KNOWN), shared=False)
    restoring = coding.shared and toning is None
    fitter = Fitter(rows, columns, sampling, coding, restoring=restoring)
    upsampler = (_rounded_up(fit) if restoring else fit).upsampler(height, width, PEAK, columns)
    for band, (pixels, mean, darkest, brightest) in bands:
        chroma = upsampler.rows(mean.astype(np.float32), band.start)
        if toning is not None:
            upsampler.keep(toning[:, band].astype(np.float32) - GRAY, chroma, band.start)
        source = toning[:, band] if toning is not None else np.broadcast_to(np.uint8(GRAY), chroma.shape)
        here = np.broadcast_to(False, mean.shape) if kept is None else kept[band]
        if kept is not None and here.any():
            np.copyto(chroma, source.astype(np.float32) - GRAY, where=here)
        fitter.add(band.start, Samples(chroma, darkest, brightest, source, here), pixels)
        if fitter.worst < coding.required_share:
            break
    planes = fitter.finished()
    if fitter.worst < coding.required_share:
        return chroma_planes(luma, fit, sampling, coding.finer, spare, toning)
    return Planes(planes, coding.steps)


def _rounded_up(fit: GuidedChroma) -> GuidedChroma:
    """With `ROUNDED_UP` in it."""
    chroma = np.abs(fit.slopes * fit.luma + fit.offsets) * np.float32(PEAK)
    gain = 1 + np.float32(ROUNDED_UP) / np.maximum(chroma, FULLY_FROM)
    return replace(fit, slopes=fit.slopes * gain, offsets=fit.offsets * gain)


def _bands(height: int, width: int) -> Iterator[slice]:
    """The rows of a plane from top to bottom, in bands of whole blocks and about `BAND_SAMPLES`."""
    rows = max(BLOCK, BAND_SAMPLES // width // BLOCK * BLOCK)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _shared(luma: Bytes, sampling: Sampling, band: slice, columns: int) -> Shared:
    """The luma of a band of chroma samples, `columns` wide.

    libjpeg upsamples with a triangle filter, which spreads a sample one pixel beyond its own two.
    """
    across, down = sampling
    above = min(down - 1, band.start)
    reached = _padded_rows(luma, band.start * down - above, band.stop * down + down - 1, columns * across)
    own = reached[above : above + (band.stop - band.start) * down]
    if sampling == FULL_SIZE:
        return Shared(own, own, own, own)
    size = (columns, len(own) // down)
    kernel = _kernel(sampling, 4)
    darkest, brightest = (
        # Of `across` times `down` samples the first.
        cv2.resize(
            change(reached, kernel, anchor=(across - 1, down - 1))[above : above + len(own)],
            size,
            interpolation=cv2.INTER_NEAREST,
        )
        for change in (cv2.erode, cv2.dilate)
    )
    return Shared(own, cv2.resize(own, size, interpolation=cv2.INTER_AREA), darkest, brightest)


def _padded_rows(luma: Bytes, top: int, bottom: int, width: int) -> Bytes:
    """Rows of a plane, extended to this width and beyond the last row by its last samples."""
    rows = luma[top:bottom]
    below, right = bottom - top - len(rows), width - luma.shape[1]
    if not (below or right):
        return rows
    return cv2.copyMakeBorder(rows, 0, below, 0, right, cv2.BORDER_REPLICATE)


def _kernel(sampling: Sampling, count: int) -> Bytes:
    """Ones over `count` samples in each direction in which samples are shared."""
    return np.ones([1 if step == 1 else count for step in (sampling.down, sampling.across)], np.uint8)
