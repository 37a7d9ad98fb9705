"""New chroma for a picture: stored small as coefficients of its luma, evaluated row by row at full size."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import cv2
import numpy as np

from colorcli.color.guided_filter import guide
from colorcli.color.ycbcr import BT601, Plane, color_difference, fit_gamut, ycbcr_from_rgb
from colorcli.images.raster import Pixels, Raster, band_luma

ROWS = 32
"""Rows that are interpolated at once: so few rows of the network's size contribute to them that a small
matrix product is the fastest way."""


@dataclass(frozen=True)
class GuidedChroma:
    """The network's chroma, in a form that follows the edges of a larger luma plane.

    At each point of the network's size the chroma is a linear function of luma, `slope * luma + offset`,
    found by a guided filter (He and Sun 2015, arXiv:1505.00996). Interpolated slopes and offsets, applied to
    the picture's own luma, give chroma whose edges are those of the picture.
    """

    luma: Plane
    """[h, w] in [0, 1], at the network's size."""
    slopes: Plane
    """[2, h, w]."""
    offsets: Plane
    """[2, h, w], chroma in [-0.5, 0.5] where luma is 0."""
    own: Plane | None = None
    """How much of the picture's own chroma stays, [h, w] in [0, 1]; None if nothing does."""

    @classmethod
    def fit(cls, chroma: Plane, luma: Plane) -> "GuidedChroma":
        """From chroma [2, h, w] that the network predicted for luma [h, w]."""
        return cls(luma, *guide(chroma, luma))

    @property
    def strength(self) -> float:
        """Mean magnitude of the chroma, in [0, 0.7]."""
        return float(cv2.magnitude(*(self.slopes * self.luma + self.offsets)).mean())

    def upsampler(self, height: int, width: int, peak: int, columns: int | None = None) -> "ChromaUpsampler":
        """For a picture of this size whose samples are code values up to `peak`.

        `columns`: its width if it is padded with its last column; it may also have further rows.
        """
        return ChromaUpsampler(self, height, width, peak, columns or width)

    def preview(self) -> Pixels:
        """The picture in color at the network's size: RGB [h, w, 3] uint8."""
        height, width = self.luma.shape
        luma = self.luma * np.float32(255)
        return rgb_rows(luma, self.upsampler(height, width, 255).rows(luma, 0), 255)


class ChromaUpsampler:
    """Computes the chroma of any rows of a picture; only those rows have to be in memory."""

    def __init__(self, chroma: GuidedChroma, height: int, width: int, peak: int, columns: int) -> None:
        rows = chroma.slopes.shape[1]
        # Widths are interpolated here, heights in `rows`: [2, h, W] floats are held, however high the
        # picture.
        self._slopes, self._offsets = (
            [_widened(plane, width, columns) for plane in planes]
            for planes in (chroma.slopes, chroma.offsets * np.float32(peak))
        )
        self._own = None if chroma.own is None else _widened(chroma.own, width, columns)
        self._rows = np.arange(rows, dtype=np.float32)
        self._scale = rows / height

    def rows(self, luma: Plane, top: int) -> Plane:
        """Luma [n, W] of the rows from `top` on -> their chroma [2, n, W], not fitted into the gamut.

        Both in code values.
        """
        chroma = np.empty((2, *luma.shape), np.float32)
        for start in range(0, len(luma), ROWS):
            part = luma[start : start + ROWS]
            used, weights = self._contributions(top + start, len(part))
            for slope, offset, plane in zip(self._slopes, self._offsets, chroma, strict=True):
                target = plane[start : start + ROWS]
                np.matmul(weights, offset[used], out=target)
                cv2.accumulateProduct(weights @ slope[used], part, target)
        return chroma

    def keep(self, own: Plane, chroma: Plane, top: int) -> None:
        """Mix what stays of the picture's own chroma into new chroma [2, n, W] of rows from `top` on."""
        if self._own is None:
            return
        used, weights = self._contributions(top, chroma.shape[1])
        chroma += (weights @ self._own[used]) * (own - chroma)

    def _contributions(self, top: int, count: int) -> tuple[slice, Plane]:
        """The rows at the network's size that make up `count` rows, and their weights [count, used]."""
        positions = (np.arange(top, top + count) + 0.5) * self._scale - 0.5
        positions = np.clip(positions, 0, self._rows[-1]).astype(np.float32)[:, None]
        used = slice(int(positions[0, 0]), int(positions[-1, 0]) + 2)
        return used, np.maximum(1 - np.abs(positions - self._rows[used]), 0)


def _widened(plane: Plane, width: int, columns: int) -> Plane:
    """[h, w] -> [h, columns]: interpolated to `width` and padded with the last column."""
    wide = cv2.resize(plane, (width, len(plane)), interpolation=cv2.INTER_LINEAR)
    if columns == width:
        return wide
    return cv2.copyMakeBorder(wide, 0, 0, 0, columns - width, cv2.BORDER_REPLICATE)


def colorized(raster: Raster, chroma: GuidedChroma, source: Raster | None = None) -> Raster:
    """The raster in color; alpha is kept. `source`: the picture with the color that it has of its own."""
    upsampler = chroma.upsampler(raster.height, raster.width, raster.peak)

    def bands() -> Iterator[Pixels]:
        top = 0
        keeps = source is not None and chroma.own is not None and source.channels >= 3
        owns = source.bands() if source is not None and keeps else repeat(None)
        for band, own in zip(raster.bands(), owns, strict=False):
            luma = band_luma(band)
            new = upsampler.rows(luma, top)
            if own is not None:
                rgb = own[:, :, :3].transpose(2, 0, 1).astype(np.float32)
                upsampler.keep(ycbcr_from_rgb(rgb)[1], new, top)
            color = rgb_rows(luma, new, raster.peak)
            yield np.concatenate([color, band[:, :, -1:]], axis=2) if raster.has_alpha else color
            top += len(band)

    return Raster(raster.height, raster.width, 3 + raster.has_alpha, raster.depth, bands)


def rgb_rows(luma: Plane, chroma: Plane, peak: int) -> Pixels:
    """Luma [n, W] and chroma [2, n, W] -> RGB [n, W, 3], all in code values up to `peak` (255 or 65535).

    Red and blue are rounded first; green, which weighs most, then brings the weighted sum back to the luma.
    Gray is off by at most half of green's weight, 0.3 code values, away from the gamut's corners, and by less
    than one in them.
    """
    red, green, blue = planes = color_difference(fit_gamut(luma, chroma, peak=peak))
    for plane in (red, blue):
        plane += luma
        np.rint(plane, out=plane)
    np.multiply(red, -BT601.kr / BT601.kg, out=green)
    green += luma / np.float32(BT601.kg)
    green -= blue * np.float32(BT601.kb / BT601.kg)
    np.rint(green, out=green)
    np.clip(planes, 0, peak, out=planes)
    return cv2.merge([plane.astype(np.uint8 if peak == 255 else np.uint16) for plane in planes])
