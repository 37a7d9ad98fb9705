"""Y'CbCr: luma in [0, 1] full range, chroma in [-0.5, 0.5]; planes are channel-first float32.

Conversions follow ITU-R BT.601-7, BT.709-6 and BT.2020-2 (section 3: E'Y, E'CB, E'CR). Networks see and
give BT.601, the matrix of JPEG (JFIF 1.02); `rematrix` carries their chroma to a film's own matrix.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Matrix:
    """Luma coefficients of red and blue; green's is what is left of 1."""

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
    """Chroma [2, H, W] -> R'G'B' minus luma [3, H, W]; its weighted sum is 0, so it never moves luma."""
    blue = (2 - 2 * matrix.kb) * chroma[0]
    red = (2 - 2 * matrix.kr) * chroma[1]
    green = -(matrix.kr * red + matrix.kb * blue) / matrix.kg
    return np.stack([red, green, blue])


def fit_gamut(luma: Plane, chroma: Plane, matrix: Matrix = BT601) -> Plane:
    """Shrink chroma [2, H, W] towards grey, hue kept, until R'G'B' lies in [0, 1]; luma is not touched."""
    return fit_between(luma, luma, chroma, matrix)


def fit_between(darkest: Plane, brightest: Plane, chroma: Plane, matrix: Matrix = BT601) -> Plane:
    """As `fit_gamut`, for chroma that several pixels share: for every luma from `darkest` to `brightest`."""
    difference = color_difference(chroma, matrix)
    tallest = np.maximum(difference.max(axis=0), 1e-6)
    deepest = np.maximum(-difference.min(axis=0), 1e-6)
    scale = np.minimum((1 - brightest) / tallest, darkest / deepest)
    return chroma * np.clip(scale, 0, 1)


def rematrix(chroma: Plane, source: Matrix, target: Matrix) -> Plane:
    """Chroma [2, H, W] of one matrix to another's, keeping B'-Y' and R'-Y' (so luma stays as it is)."""
    scale = np.array([(1 - source.kb) / (1 - target.kb), (1 - source.kr) / (1 - target.kr)], np.float32)
    return chroma * scale[:, None, None]
