"""Chroma onto a raster: colour rows whose grey is the grey they had."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.core.color import BT601, Plane, color_difference, fit_gamut
from colorcli.stills.raster import Pixels, Raster, band_luma
from colorcli.upsample import guide


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

    def at(self, height: int, width: int) -> "ChromaField":
        return ChromaField(self, height, width)


class ChromaField:
    """The same at a picture's own size, evaluated row by row."""

    def __init__(self, fit: ChromaFit, height: int, width: int) -> None:
        rows = fit.slopes.shape[1]
        # Widened now, heightened when asked: only [h, W] floats are held for a picture of any height.
        self._slopes, self._offsets = (
            [cv2.resize(plane, (width, rows), interpolation=cv2.INTER_LINEAR) for plane in planes]
            for planes in (fit.slopes, fit.offsets)
        )
        self._scale = rows / height

    def rows(self, luma: Plane, top: int) -> Plane:
        """Luma [n, W] of the rows from `top` on -> their chroma [2, n, W], not fitted into the gamut."""
        last = len(self._slopes[0]) - 1
        place = np.clip((np.arange(top, top + len(luma)) + 0.5) * self._scale - 0.5, 0, last)
        upper = place.astype(np.intp)
        lower = np.minimum(upper + 1, last)
        share = (place - upper).astype(np.float32)[:, None]
        chroma = np.empty((2, *luma.shape), np.float32)
        for slope, offset, target in zip(self._slopes, self._offsets, chroma, strict=True):
            np.multiply(_mix(slope, upper, lower, share), luma, out=target)
            target += _mix(offset, upper, lower, share)
        return chroma


def _mix(plane: Plane, upper: NDArray[np.intp], lower: NDArray[np.intp], share: Plane) -> Plane:
    result: Plane = plane[lower] - plane[upper]
    result *= share
    result += plane[upper]
    return result


def painted(raster: Raster, fit: ChromaFit) -> Raster:
    """The raster in colour; its alpha, where it has one, as it was."""
    field = fit.at(raster.height, raster.width)

    def bands() -> Iterator[Pixels]:
        top = 0
        for band in raster.bands():
            luma = band_luma(band, raster.peak)
            colour = paint_rows(luma, field.rows(luma, top), raster.peak)
            yield np.concatenate([colour, band[:, :, -1:]], axis=2) if raster.has_alpha else colour
            top += len(band)

    return Raster(raster.height, raster.width, 3 + raster.has_alpha, raster.depth, bands)


def paint_rows(luma: Plane, chroma: Plane, peak: int) -> Pixels:
    """Luma [n, W] in [0, 1] and chroma [2, n, W] -> RGB [n, W, 3] in code values up to `peak` (255 or 65535).

    Red and blue are rounded as they come; green, which weighs most, is what then brings the weighted sum
    back to the luma. Grey is off by at most half of green's weight, 0.3 code values, away from the gamut's
    corners, and by less than one in them.
    """
    red, _, blue = luma + color_difference(fit_gamut(luma, chroma))
    red, blue = np.rint(red * np.float32(peak)), np.rint(blue * np.float32(peak))
    green = np.rint((luma * np.float32(peak) - BT601.kr * red - BT601.kb * blue) / BT601.kg)
    colour = np.stack([red, green, blue], axis=2)
    return np.clip(colour, 0, peak, out=colour).astype(np.uint8 if peak == 255 else np.uint16)
