"""A JPEG's two chroma planes, made so that no decoder has to clip a colour and move its grey.

A decoder adds chroma to luma and clips what leaves [0, 255]; what it clips, it takes from the grey. So chroma
is fitted to the darkest and brightest of all pixels that share it, encoded, decoded again, and softened
where quantisation has pushed it too far after all.
"""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorcli.core.color import BT601, color_difference, fit_between
from colorcli.stills.paint import ChromaFit
from colorcli.stills.raster import BAND_PIXELS

Bytes = NDArray[np.uint8]

CLIPPED = 0.9
"""Code values of grey that clipping may take: with the half that rounding takes it stays below 1.5, so that
grey is off by one at most."""
SLACK = 1
"""Code values by which decoded chroma may leave the fitted one: clipping then takes less than one."""
SEEN = 0.8
"""Code values of grey by which a toned source may clip before its toning is kept there."""
BLOCK = 8
EXACT = [1] * 64
SOFTENINGS = (0.5, 0.0)
"""What is left of a block's chroma at each attempt; a block of none is coded exactly."""


@dataclass(frozen=True)
class Sampling:
    """Luma samples that share a chroma sample, across and down: 1 or 2 each."""

    across: int
    down: int


@dataclass(frozen=True)
class Toning:
    """The chroma of a toned source, [H, W] each, and where it makes decoders clip."""

    cb: Bytes
    cr: Bytes
    clipped: NDArray[np.bool_]
    """Pixels whose grey, seen through RGB, is not their luma in the source already."""


@dataclass(frozen=True)
class Planes:
    """Chroma in code values, and the luma it has to suit, all at the chroma's size."""

    cb: Bytes
    cr: Bytes
    darkest: Bytes
    brightest: Bytes
    kept: NDArray[np.bool_]
    """Samples that keep the source's toning, so that grey is seen there as it was."""


def chroma_planes(luma: Bytes, fit: ChromaFit, sampling: Sampling, toning: Toning | None = None) -> Planes:
    """Luma [H, W] -> chroma as a JPEG stores it, fitted into the gamut."""
    small, darkest, brightest = _shared(luma, sampling)
    field = fit.at(*small.shape)
    cb, cr = np.empty_like(small), np.empty_like(small)
    rows = max(1, BAND_PIXELS // small.shape[1])
    for top in range(0, len(small), rows):
        band = slice(top, top + rows)
        low, high, middle = (
            plane[band].astype(np.float32) / np.float32(255) for plane in (darkest, brightest, small)
        )
        chroma = fit_between(low, high, field.rows(middle, top))
        cb[band], cr[band] = np.rint(chroma * np.float32(255) + np.float32(128))
    kept = np.zeros(small.shape, bool)
    if toning is not None:
        size = small.shape[::-1]
        kept = cv2.resize(toning.clipped.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        for plane, own in ((cb, toning.cb), (cr, toning.cr)):
            plane[kept] = cv2.resize(own, size, interpolation=cv2.INTER_AREA)[kept]
    return Planes(cb, cr, darkest, brightest, kept)


def toning_of(luma: Bytes, cb: Bytes, cr: Bytes) -> Toning | None:
    """The source's own planes [H, W], None where they clip nowhere."""
    clipped = np.empty(luma.shape, bool)
    rows = max(1, BAND_PIXELS // luma.shape[1])
    weights = np.array([BT601.kr, BT601.kg, BT601.kb], np.float32)
    for top in range(0, len(luma), rows):
        band = slice(top, top + rows)
        rgb = luma[band] + color_difference(np.stack([cb[band], cr[band]]).astype(np.float32) - 128)
        moved = np.tensordot(weights, rgb - np.clip(rgb, 0, 255), axes=1)
        clipped[band] = np.asarray(np.abs(moved) > SEEN)
    return Toning(cb, cr, clipped) if clipped.any() else None


def _shared(luma: Bytes, sampling: Sampling) -> tuple[Bytes, Bytes, Bytes]:
    """Mean, darkest and brightest luma of the pixels to which a decoder gives each chroma sample.

    Upsampling with a triangle filter, as libjpeg does, a sample reaches one pixel beyond its own two.
    """
    if sampling == Sampling(1, 1):
        return luma, luma, luma
    height, width = luma.shape
    padded = cv2.copyMakeBorder(
        luma, 0, -height % sampling.down, 0, -width % sampling.across, cv2.BORDER_REPLICATE
    )
    size = (padded.shape[1] // sampling.across, padded.shape[0] // sampling.down)
    reach = np.ones([1 if step == 1 else 4 for step in (sampling.down, sampling.across)], np.uint8)
    anchor = (sampling.across - 1, sampling.down - 1)
    step = (slice(None, None, sampling.down), slice(None, None, sampling.across))
    return (
        cv2.resize(padded, size, interpolation=cv2.INTER_AREA),  # type: ignore[return-value]
        cv2.erode(padded, reach, anchor=anchor)[step],
        cv2.dilate(padded, reach, anchor=anchor)[step],
    )


def encode(planes: Planes, table: list[int], progressive: bool) -> tuple[bytes, bytes]:
    """Cb and Cr as grey JPEGs with the quantisation `table` (64 steps, row by row), or finer."""
    cb, cr = planes.cb.copy(), planes.cr.copy()
    # Toning that is kept has to be kept to the code value, or what it clips is not what it clipped.
    steps = EXACT if planes.kept.any() else table
    encoded = [_encode_plane(plane, steps, progressive) for plane in (cb, cr)]
    spoilt = _spoilt_blocks(planes, *encoded)
    for share in SOFTENINGS:
        if not spoilt.any():
            break
        mask = spoilt.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[: cb.shape[0], : cb.shape[1]] & ~planes.kept
        for plane, fitted in ((cb, planes.cb), (cr, planes.cr)):
            plane[mask] = np.rint((fitted[mask] - 128.0) * share + 128)
        encoded = [_encode_plane(plane, steps, progressive) for plane in (cb, cr)]
        spoilt = _spoilt_blocks(planes, *encoded) if share else spoilt
    return encoded[0], encoded[1]


def _encode_plane(plane: Bytes, table: list[int], progressive: bool) -> bytes:
    target = io.BytesIO()
    Image.fromarray(plane).save(target, "JPEG", qtables=[table], progressive=progressive)
    return target.getvalue()


def decoded_grey(data: bytes) -> Bytes:
    """A JPEG's luma, as stored; raises ValueError where it cannot be decoded."""
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ValueError("it cannot be decoded")
    return pixels  # type: ignore[return-value]


def _spoilt_blocks(planes: Planes, cb: bytes, cr: bytes) -> NDArray[np.bool_]:
    """Which 8x8 blocks [rows, columns] hold a pixel whose grey clipping would move."""
    decoded = [decoded_grey(data) for data in (cb, cr)]
    # What is seen of a toned source is rounded and clipped already, so that less is left for us.
    slack, limit = (0, 1 - SEEN) if planes.kept.any() else (SLACK, CLIPPED)
    moved = cv2.max(cv2.absdiff(decoded[0], planes.cb), cv2.absdiff(decoded[1], planes.cr))
    found = cv2.findNonZero(cv2.threshold(moved, slack, 1, cv2.THRESH_BINARY)[1])
    height, width = planes.cb.shape
    blocks = np.zeros((-(-height // BLOCK), -(-width // BLOCK)), bool)
    if found is None:
        return blocks
    columns, rows = found.reshape(-1, 2).T
    chroma = np.stack([plane[rows, columns] for plane in decoded]).astype(np.float32) - 128
    difference = color_difference(chroma)
    weights = np.array([BT601.kr, BT601.kg, BT601.kb], np.float32)
    above = weights @ np.maximum(planes.brightest[rows, columns] + difference - 255, 0)
    below = weights @ np.maximum(-planes.darkest[rows, columns].astype(np.float32) - difference, 0)
    guilty = (np.maximum(above, below) > limit) & ~planes.kept[rows, columns]
    blocks[rows[guilty] // BLOCK, columns[guilty] // BLOCK] = True
    return blocks
