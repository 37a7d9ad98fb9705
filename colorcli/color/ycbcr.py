"""Y'CbCr: luma in [0, 1] full range, chroma in [-0.5, 0.5]; planes are channel-first float32.

Conversions follow ITU-R BT.601-7, BT.709-6 and BT.2020-2 (section 3: E'Y, E'CB, E'CR). Networks work in
BT.601, the matrix of JPEG (JFIF 1.02); `rematrix` converts their chroma to a video's own matrix.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Matrix:
    """Luma coefficients of red and blue; green has the rest of 1."""

    kr: float
    kb: float

    @property
    def kg(self) -> float:
        return 1 - self.kr - self.kb


BT601 = Matrix(0.299, 0.114)
BT709 = Matrix(0.2126, 0.0722)
BT2020 = Matrix(0.2627, 0.0593)


def luma_of(rgb: NDArray[Any], matrix: Matrix = BT601) -> Plane:
    """[3, H, W] R'G'B' in [0, 1] -> [H, W] luma."""
    return (matrix.kr * rgb[0] + matrix.kg * rgb[1] + matrix.kb * rgb[2]).astype(np.float32)


def ycbcr_from_rgb(rgb: NDArray[Any], matrix: Matrix = BT601) -> tuple[Plane, Plane]:
    """[3, H, W] R'G'B' in [0, 1] -> luma [H, W], chroma [2, H, W]."""
    luma = luma_of(rgb, matrix)
    chroma = np.stack([(rgb[2] - luma) / (2 - 2 * matrix.kb), (rgb[0] - luma) / (2 - 2 * matrix.kr)])
    return luma, chroma.astype(np.float32)


def rgb_from_ycbcr(luma: Plane, chroma: Plane, matrix: Matrix = BT601) -> Plane:
    """Luma [H, W], chroma [2, H, W] -> R'G'B' [3, H, W], not clipped."""
    return luma + color_difference(chroma, matrix)


def color_difference(chroma: Plane, matrix: Matrix = BT601) -> Plane:
    """Chroma [2, H, W] -> R'G'B' minus luma [3, H, W]; its weighted sum is 0, so it does not change luma."""
    difference = np.empty((3, *chroma.shape[1:]), chroma.dtype)
    red, green, blue = difference
    np.multiply(chroma[1], 2 - 2 * matrix.kr, out=red)
    np.multiply(chroma[0], 2 - 2 * matrix.kb, out=blue)
    np.multiply(red, -matrix.kr / matrix.kg, out=green)
    green -= blue * (matrix.kb / matrix.kg)
    return difference


def reach(chroma: Plane, matrix: Matrix = BT601) -> tuple[Plane, Plane]:
    """Distance of the highest of R', G', B' above luma, and of the lowest below it, [H, W] each."""
    red, green, blue = color_difference(chroma, matrix)
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    return highest, np.negative(lowest, out=lowest)


def gamut_scale(darkest: Plane, brightest: Plane, above: Plane, below: Plane, peak: float = 1) -> Plane:
    """Factor in [0, 1] for a chroma with this `reach` that keeps R'G'B' in [0, peak]."""
    scale = (peak - brightest) / np.maximum(above, 1e-6)
    np.minimum(scale, darkest / np.maximum(below, 1e-6), out=scale)
    return np.clip(scale, 0, 1)


def fit_gamut(luma: Plane, chroma: Plane, matrix: Matrix = BT601, peak: float = 1) -> Plane:
    """Scale chroma [2, H, W] towards gray until R'G'B' is in [0, peak]; hue and luma stay."""
    return chroma * gamut_scale(luma, luma, *reach(chroma, matrix), peak)


def rematrix(chroma: Plane, source: Matrix, target: Matrix) -> Plane:
    """Convert chroma [2, H, W] between matrices, keeping B'-Y' and R'-Y', so that luma stays."""
    scale = np.array([(1 - source.kb) / (1 - target.kb), (1 - source.kr) / (1 - target.kr)], np.float32)
    return chroma * scale[:, None, None]
