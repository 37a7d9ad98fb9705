"""CIE L*a*b* of sRGB colors (IEC 61966-2-1, D65), in which most published colorizers work."""

import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane, rgb_from_ycbcr, ycbcr_from_rgb

_XYZ_OF_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
    np.float32,
)
_WHITE = _XYZ_OF_RGB.sum(axis=1)
_RELATIVE_XYZ_OF_RGB = _XYZ_OF_RGB / _WHITE[:, None]
_RGB_OF_RELATIVE_XYZ = np.linalg.inv(_RELATIVE_XYZ_OF_RGB)
_EPSILON, _SLOPE = np.float32((6 / 29) ** 3), np.float32((29 / 6) ** 2 / 3)


def lightness(luma: Plane) -> Plane:
    """Luma [H, W] in [0, 1], read as R' = G' = B' -> L* in [0, 100]."""
    return 116 * _compress(_linear(luma)) - 16


def chroma_of_ab(luma: Plane, ab: Plane) -> Plane:
    """BT.601 chroma [2, H, W] of the color with the lightness of `luma` [H, W] and with `ab` [2, H, W].

    A color outside sRGB is clipped, as every published host of these models clips it.
    """
    y = (lightness(luma) + 16) / 116
    relative = _expand(np.stack([y + ab[0] / 500, y, y - ab[1] / 200]))
    rgb = _nonlinear(np.clip(np.tensordot(_RGB_OF_RELATIVE_XYZ, relative, 1), 0, 1))
    return ycbcr_from_rgb(rgb)[1]


def ab_of_chroma(luma: Plane, chroma: Plane) -> Plane:
    """The a* and b* [2, H, W] of luma [H, W] with BT.601 chroma [2, H, W]."""
    rgb = np.clip(rgb_from_ycbcr(luma, chroma), 0, 1)
    x, y, z = _compress(np.tensordot(_RELATIVE_XYZ_OF_RGB, _linear(rgb), 1))
    return np.stack([500 * (x - y), 200 * (y - z)])


def _linear(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(value <= 0.04045, value / 12.92, ((np.maximum(value, 0) + 0.055) / 1.055) ** 2.4)


def _nonlinear(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def _compress(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(value > _EPSILON, np.cbrt(value), _SLOPE * value + 4 / 29)


def _expand(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(value > 6 / 29, value**3, (value - 4 / 29) / _SLOPE)
