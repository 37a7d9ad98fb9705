"""Chroma onto a raster: color rows whose gray is the gray they had."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.color.guided_filter import guide
from colorcli.color.ycbcr import BT601, Plane, color_difference, fit_gamut
from colorcli.images.raster import Pixels, Raster, band_luma

ROWS = 32
"""Rows that are interpolated at once: they come from so few of the network's that a small matrix product is
the fastest way."""


@dataclass(frozen=True)
class ChromaFit:
    """A picture's chroma as a function of place and luma, at the network's size."""

    slopes: Plane
    offsets: Plane
    """[2, h, w] each: chroma = slope * luma + offset."""

    @classmethod
    def of(cls, chroma: Plane, luma: Plane) -> "ChromaFit":
        """From chroma [2, h, w] that the network made of luma [h, w]."""
        return cls(*guide(chroma, luma))

    def at(self, height: int, width: int, peak: int) -> "ChromaField":
        """The same for luma, and chroma, in code values up to `peak`."""
        return ChromaField(self, height, width, peak)


class ChromaField:
    """The same at a picture's own size, evaluated row by row."""

    def __init__(self, fit: ChromaFit, height: int, width: int, peak: int) -> None:
        rows = fit.slopes.shape[1]
        # Widened now, heightened when asked: only [h, W] floats are held for a picture of any height.
        self._slopes, self._offsets = (
            [cv2.resize(plane, (width, rows), interpolation=cv2.INTER_LINEAR) for plane in planes]
            for planes in (fit.slopes, fit.offsets * np.float32(peak))
        )
        self._rows = np.arange(rows, dtype=np.float32)
        places = (np.arange(height) + 0.5) * (rows / height) - 0.5
        self._places = np.clip(places, 0, rows - 1).astype(np.float32)

    def rows(self, luma: Plane, top: int) -> Plane:
        """Luma [n, W] of the rows from `top` on -> their chroma [2, n, W], not fitted into the gamut.

        Both in code values.
        """
        chroma = np.empty((2, *luma.shape), np.float32)
        for start in range(0, len(luma), ROWS):
            part = luma[start : start + ROWS]
            places = self._places[top + start : top + start + len(part), None]
            known = slice(int(places[0, 0]), int(places[-1, 0]) + 2)
            shares = np.maximum(1 - np.abs(places - self._rows[known]), 0)
            for slope, offset, plane in zip(self._slopes, self._offsets, chroma, strict=True):
                target = plane[start : start + ROWS]
                np.matmul(shares, offset[known], out=target)
                cv2.accumulateProduct(shares @ slope[known], part, target)
        return chroma


def painted(raster: Raster, fit: ChromaFit) -> Raster:
    """The raster in color; its alpha, where it has one, as it was."""
    field = fit.at(raster.height, raster.width, raster.peak)

    def bands() -> Iterator[Pixels]:
        top = 0
        for band in raster.bands():
            luma = band_luma(band)
            color = paint_rows(luma, field.rows(luma, top), raster.peak)
            yield np.concatenate([color, band[:, :, -1:]], axis=2) if raster.has_alpha else color
            top += len(band)

    return Raster(raster.height, raster.width, 3 + raster.has_alpha, raster.depth, bands)


def paint_small(luma: Plane, fit: ChromaFit) -> Pixels:
    """Luma [h, w] in [0, 1] of a small picture -> RGB [h, w, 3] of 8 bits."""
    height, width = luma.shape
    luma = luma * np.float32(255)
    return paint_rows(luma, fit.at(height, width, 255).rows(luma, 0), 255)


def paint_rows(luma: Plane, chroma: Plane, peak: int) -> Pixels:
    """Luma [n, W] and chroma [2, n, W] -> RGB [n, W, 3], all in code values up to `peak` (255 or 65535).

    Red and blue are rounded as they come; green, which weighs most, is what then brings the weighted sum
    back to the luma. Gray is off by at most half of green's weight, 0.3 code values, away from the gamut's
    corners, and by less than one in them.
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
