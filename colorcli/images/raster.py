"""Pixels as bands of rows from top to bottom, so that a whole picture need not be in memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import BT601, Plane, luma_of

Pixels = NDArray[Any]
"""[rows, width, channels] uint8 or uint16; 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha."""

BAND_PIXELS = 1 << 16
"""Pixels in a band of a picture in memory: its float planes then stay in a processor's cache."""


def bands_of(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in memory, from top to bottom, in bands of about `BAND_PIXELS`."""
    rows = max(1, BAND_PIXELS // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


@dataclass(frozen=True)
class Raster:
    height: int
    width: int
    channels: int
    depth: int
    """Bits of a sample, 8 or 16."""
    bands: Callable[[], Iterator[Pixels]]
    """Starts reading all rows from the top at each call."""

    @classmethod
    def of(cls, pixels: Pixels) -> "Raster":
        """A raster over an array [H, W, C] in memory, or mapped into it."""
        height, width, channels = pixels.shape

        def bands() -> Iterator[Pixels]:
            for band in bands_of(height, width):
                yield pixels[band]

        return cls(height, width, channels, 8 * pixels.dtype.itemsize, bands)

    @property
    def peak(self) -> int:
        """The highest code value."""
        return (1 << self.depth) - 1

    @property
    def has_alpha(self) -> bool:
        return self.channels in (2, 4)

    def is_opaque(self) -> bool:
        """Whether alpha, which the raster has, is at its highest value everywhere."""
        return all((band[:, :, -1] == self.peak).all() for band in self.bands())

    def array(self) -> Pixels:
        """All pixels [H, W, C]."""
        return np.concatenate(list(self.bands()))

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.height * self.width * self.channels * self.depth // 8

    def in_memory(self) -> "Raster":
        """The same raster, decoded once."""
        return Raster.of(self.array())

    def without_alpha(self) -> "Raster":
        if not self.has_alpha:
            return self
        return replace(
            self, channels=self.channels - 1, bands=lambda: (band[:, :, :-1] for band in self.bands())
        )

    def at_8_bits(self) -> "Raster":
        """The same raster, rounded to 8 bits."""
        if self.depth == 8:
            return self

        def bands() -> Iterator[Pixels]:
            for band in self.bands():
                yield ((band.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)

        return replace(self, depth=8, bands=bands)

    def reduced(self, height: int, width: int) -> Plane:
        """Area averages without alpha: [1 or 3, height, width] in [0, 1].

        Averaging is separable: the width of each band is reduced at once, the height at the end.
        """
        colors = self.channels - self.has_alpha
        narrow = [
            cv2.resize(
                np.ascontiguousarray(band[:, :, :colors], np.float32),
                (width, len(band)),
                interpolation=cv2.INTER_AREA,
            ).reshape(len(band), width, colors)
            for band in self.bands()
        ]
        small = cv2.resize(np.concatenate(narrow), (width, height), interpolation=cv2.INTER_AREA)
        planes = small.reshape(height, width, colors).transpose(2, 0, 1) / np.float32(self.peak)
        return np.ascontiguousarray(planes)


def regrouped(bands: Iterable[Pixels], rows: int) -> Iterator[Pixels]:
    """Bands of any heights -> bands of `rows` rows each, the last with what is left."""
    waiting: list[Pixels] = []
    held = 0
    for band in bands:
        waiting.append(band)
        held += len(band)
        if held >= rows:
            joined = np.concatenate(waiting)
            complete = held - held % rows
            for top in range(0, complete, rows):
                yield joined[top : top + rows]
            waiting, held = [joined[complete:]], held - complete
    if held:
        yield np.concatenate(waiting)


def band_luma(band: Pixels) -> Plane:
    """Rows of a raster -> luma [rows, width] in code values; gray samples are not changed."""
    if band.shape[2] < 3:
        return band[:, :, 0].astype(np.float32)
    return luma_of(band.astype(np.float32).transpose(2, 0, 1), BT601)


def gray_of(planes: Plane) -> Plane:
    """Gray or RGB [1 or 3, h, w] -> luma [h, w]."""
    return planes[0] if len(planes) == 1 else luma_of(planes)


def reduced_plane(plane: NDArray[np.uint8], height: int, width: int) -> Plane:
    """Samples [H, W] in code values -> area averages [height, width] in [0, 1]."""
    while min(plane.shape) >= 4 * min(height, width):  # OpenCV is fastest at halving
        plane = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    small = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)


def stretched(pixels: Pixels, top: int) -> Pixels:
    """Samples of 0 to `top` over the whole range of 8 bits, or of 16 bits if `top` is above 255."""
    peak, kind = (255, np.uint8) if top <= 255 else (65535, np.uint16)
    if top == peak:
        return pixels.astype(kind, copy=False)
    return (pixels.astype(np.uint32) * peak // top).astype(kind)
