"""The two chroma planes of a JPEG, limited so that no decoder clips a color and changes its gray.

A decoder adds chroma to luma and clips the sum to [0, 255], which changes the gray. So chroma is fitted to
the darkest and brightest of all pixels that share it. Quantization then moves it a little: the blocks in
which that could matter are encoded and decoded by themselves, and their chroma is reduced if it does. In a
JPEG of one plane a block decodes to the same samples wherever it is.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorcli.color.ycbcr import BT601, color_difference, gamut_scale, reach
from colorcli.images.chroma import GuidedChroma
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.raster import bands_of

Bytes = NDArray[np.uint8]

PEAK = 255
GRAY = 128
CLIPPED = 0.9
"""Code values of gray that clipping may take: with the half that rounding takes, the sum stays below 1.5, so
that gray is off by one at most."""
SLACK = 1
"""Code values by which decoded chroma may differ from the fitted one: clipping then takes less than one."""
VISIBLE = 0.8
"""Code values of gray that clipping may take in a toned source before its toning is kept there."""
BLOCK = 8
EXACT = [1] * 64
COARSEST = 2
"""Chroma's quantization steps are no coarser than this: ringing at the edges of the gamut would be clipped,
and each block in which that changes gray has to be softened. It makes large scans a sixth larger than their
gray source, and small ones, whose chroma is stored at full size, up to twice as large."""
SWING = 7 * COARSEST / 2 + 1
"""Code values by which quantization can move a sample at most: the sum of half a step in each of 64
coefficients in one sample, and one more for rounding."""
RINGING = (SWING * (1.402 * BT601.kr + 1.772 * BT601.kb) - CLIPPED) / (BT601.kr + BT601.kb)
"""A color that is farther inside the gamut cannot be moved so far out of it that gray visibly changes: gray
changes most where red and blue are clipped together. If nothing may be clipped, steps are 1 and all moves are
smaller than this."""
SOFTENINGS = (0.5, 0.0)
"""The share of a block's chroma that is left at each attempt; a block without chroma is encoded exactly."""
MOSAIC = 1024
"""Blocks side by side in a picture that is composed of blocks."""


class Sampling(NamedTuple):
    """Luma samples that share a chroma sample: 1 or 2 each."""

    across: int
    down: int


Toning = tuple[Bytes, Bytes]
"""Cb and Cr [h, w] of a toned source, at the size at which they will be stored."""


@dataclass(frozen=True)
class Planes:
    """Chroma in code values, and the luma it has to suit, all at the chroma's size; or 8x8 blocks of them.

    Planes are padded to whole blocks with their last row and column, as an encoder does.
    """

    cb: Bytes
    cr: Bytes
    darkest: Bytes
    brightest: Bytes
    kept: NDArray[np.bool_]
    """Samples that keep the source's toning, so that its displayed gray does not change."""
    at_risk: NDArray[np.bool_]
    """Samples that quantization could push out of the gamut."""

    def at(self, positions: NDArray[np.intp]) -> "Planes":
        return self.each(lambda plane: plane[positions])

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> "Planes":
        return Planes(*(change(getattr(self, field.name)) for field in fields(self)))


def chroma_planes(luma: Bytes, fit: GuidedChroma, sampling: Sampling, toning: Toning | None = None) -> Planes:
    """Luma [H, W] -> chroma as a JPEG stores it, fitted into the gamut."""
    luma = _padded(luma, sampling.down, sampling.across)
    height, width = luma.shape[0] // sampling.down, luma.shape[1] // sampling.across
    upsampler = fit.upsampler(height, width, PEAK)
    planes = np.zeros((6, height + -height % BLOCK, width + -width % BLOCK), np.uint8)
    cb, cr, darkest, brightest, kept, at_risk = planes[:, :height, :width]
    for band in bands_of(height, width):
        small, darkest[band], brightest[band] = _shared(luma, sampling, band)
        low, high, middle = (plane.astype(np.float32) for plane in (darkest[band], brightest[band], small))
        chroma = upsampler.rows(middle, band.start)
        above, below = reach(chroma)
        excess = np.maximum(above + high - PEAK, below - low)
        at_risk[band] = excess > -RINGING
        # Few samples leave the gamut: only these are worth the time of a division.
        out = np.flatnonzero(excess > 0)
        scale = gamut_scale(low.take(out), high.take(out), above.take(out), below.take(out), PEAK)
        for plane, target in zip(chroma, (cb, cr), strict=True):
            plane.ravel()[out] *= scale
            cv2.convertScaleAbs(plane, dst=target[band], alpha=1, beta=GRAY)
        if toning:
            kept[band] = _clips(darkest[band], brightest[band], [plane[band] for plane in toning])
    if toning:
        # A pixel's chroma is interpolated between its sample and the neighbors: all of them have to be kept.
        mixed = np.ones([1 if step == 1 else 3 for step in (sampling.down, sampling.across)], np.uint8)
        kept[:] = cv2.dilate(kept, mixed)
        for plane, target in zip(toning, (cb, cr), strict=True):
            np.copyto(target, plane, where=kept.view(bool))
    planes[:, height:] = planes[:, height - 1 : height]
    planes[:, :, width:] = planes[:, :, width - 1 : width]
    return Planes(*planes[:4], *planes[4:].view(bool))


def _clips(darkest: Bytes, brightest: Bytes, chroma: Sequence[Bytes]) -> NDArray[np.bool_]:
    """Samples [n, w] of a toned source's chroma at which decoders visibly clip."""
    corners = np.array(list(product(*((plane.min(), plane.max()) for plane in chroma))), np.float32).T - GRAY
    above, below = (math.ceil(difference.max()) for difference in reach(corners))
    # Few samples are so bright or dark that their chroma could clip: only these are examined.
    candidates = np.flatnonzero((brightest > PEAK - above) | (darkest < below))
    low, high, cb, cr = (plane.take(candidates).astype(np.float32) for plane in (darkest, brightest, *chroma))
    clips = np.zeros(darkest.shape, bool)
    clips.ravel()[candidates] = _clipping(low, high, np.stack([cb, cr]) - GRAY) > VISIBLE
    return clips


def _clipping(darkest: NDArray[np.float32], brightest: NDArray[np.float32], chroma: NDArray[np.float32]) -> (
    NDArray[np.float32]
):  # fmt: skip
    """Code values of gray that clipping takes from pixels [n] of chroma [2, n]."""
    difference = color_difference(chroma)
    weights = np.array([BT601.kr, BT601.kg, BT601.kb], np.float32)
    return np.maximum(
        weights @ np.maximum(brightest + difference - PEAK, 0), weights @ np.maximum(-darkest - difference, 0)
    )


def _shared(luma: Bytes, sampling: Sampling, band: slice) -> tuple[Bytes, Bytes, Bytes]:
    """Mean, darkest and brightest luma of the pixels that use each chroma sample of a band.

    libjpeg upsamples with a triangle filter, which spreads a sample one pixel beyond its own two.
    """
    across, down = sampling.across, sampling.down
    own = luma[band.start * down : band.stop * down]
    if sampling == Sampling(1, 1):
        return own, own, own
    size = (own.shape[1] // across, len(own) // down)
    reaching = np.ones([1 if step == 1 else 4 for step in (down, across)], np.uint8)
    above = min(1, band.start)
    reached = luma[band.start * down - above : band.stop * down + 1]
    step = (slice(above, above + len(own), down), slice(None, None, across))
    darkest, brightest = (
        change(reached, reaching, anchor=(across - 1, down - 1))[step] for change in (cv2.erode, cv2.dilate)
    )
    return cv2.resize(own, size, interpolation=cv2.INTER_AREA), darkest, brightest


def encode(
    planes: Planes, table: list[int], progressive: bool, spare: float = CLIPPED
) -> tuple[bytes, bytes]:
    """Cb and Cr as gray JPEGs with the quantization `table` (64 steps, row by row), none above `COARSEST`.

    `spare`: code values of gray that clipping may take. If that is less than usual, the steps are 1.
    """
    if planes.kept.any():
        # Toning is kept to the code value, so that it clips exactly as it did; and the source's gray as
        # displayed is rounded and clipped already, so that less is left for ours.
        spare = min(spare, 1 - VISIBLE)
    steps = EXACT if spare < CLIPPED else table
    positions = np.nonzero(
        _blocks_with(planes.at_risk) & _blocks_with((planes.cb != GRAY) | (planes.cr != GRAY))
    )
    blocks = planes.each(
        lambda plane: (
            _in_blocks(plane)[positions[0], :, positions[1]].view(plane.dtype).reshape(-1, BLOCK, BLOCK)
        )
    )
    _soften(blocks, steps, spare)
    coded = []
    for plane, softened in ((planes.cb, blocks.cb), (planes.cr, blocks.cr)):
        _in_blocks(plane)[positions[0], :, positions[1]] = softened.reshape(-1, BLOCK * BLOCK).view(np.uint64)
        coded.append(_encode_plane(plane, steps, progressive))
    return coded[0], coded[1]


def _soften(blocks: Planes, steps: list[int], spare: float) -> None:
    """Reduce the chroma of blocks [n, 8, 8], in place, until decoding them changes no gray."""
    positions = np.arange(len(blocks.cb))
    for share in SOFTENINGS:
        positions = positions[_changes_gray(blocks.at(positions), steps, spare)]
        if not len(positions):
            return
        for plane in (blocks.cb, blocks.cr):
            less = np.rint((plane[positions] - np.float32(GRAY)) * share + GRAY).astype(np.uint8)
            plane[positions] = np.where(blocks.kept[positions], plane[positions], less)


def _changes_gray(blocks: Planes, steps: list[int], spare: float) -> NDArray[np.bool_]:
    """Which blocks [n] have a sample whose gray is changed by clipping after quantization."""
    changed = np.zeros(len(blocks.cb), bool)
    if not len(changed):
        return changed
    slack = SLACK if spare == CLIPPED else 0
    decoded = [_round_trip(plane, steps) for plane in (blocks.cb, blocks.cr)]
    moved = np.maximum(cv2.absdiff(decoded[0], blocks.cb), cv2.absdiff(decoded[1], blocks.cr))
    where = np.flatnonzero((moved > slack) & ~blocks.kept)
    low, high, cb, cr = (
        plane.take(where).astype(np.float32) for plane in (blocks.darkest, blocks.brightest, *decoded)
    )
    changed[where[_clipping(low, high, np.stack([cb, cr]) - GRAY) > spare] // BLOCK**2] = True
    return changed


def _round_trip(blocks: Bytes, steps: list[int]) -> Bytes:
    """Blocks [n, 8, 8] as decoded from a JPEG with these steps."""
    count = len(blocks)
    columns = min(count, MOSAIC)
    blocks = np.concatenate([blocks, np.zeros((-count % columns, BLOCK, BLOCK), np.uint8)])
    mosaic = blocks.reshape(-1, columns, BLOCK, BLOCK).swapaxes(1, 2).reshape(-1, columns * BLOCK)
    decoded = decoded_gray(_encode_plane(mosaic, steps, progressive=False))
    return decoded.reshape(-1, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)[:count]


def _padded(plane: Bytes, rows: int, columns: int) -> Bytes:
    """Padded to multiples of `rows` and `columns` with its last row and column, as encoders do."""
    below, right = -plane.shape[0] % rows, -plane.shape[1] % columns
    if not (below or right):
        return plane
    return cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE)


def _in_blocks(plane: NDArray[Any]) -> NDArray[np.uint64]:
    """A view [rows of blocks, 8, columns of blocks] of samples: eight in a row are one number."""
    height, width = plane.shape
    return plane.view(np.uint64).reshape(height // BLOCK, BLOCK, width // BLOCK)


def _blocks_with(samples: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which blocks [rows, columns] contain any of the samples."""
    return np.asarray(_in_blocks(samples).any(axis=1))


def _encode_plane(plane: Bytes, table: list[int], progressive: bool) -> bytes:
    target = io.BytesIO()
    Image.fromarray(plane).save(target, "JPEG", qtables=[table], progressive=progressive)
    return target.getvalue()


def decoded_gray(data: bytes) -> Bytes:
    """A JPEG's luma as stored; raises DamagedError if it cannot be decoded."""
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise DamagedError("it cannot be decoded")
    return pixels
