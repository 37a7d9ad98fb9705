"""The eight Exif orientations: planes turned from how they are stored to how they are displayed, and back."""

from colorcli.color.ycbcr import Plane

TRANSPOSED = (5, 6, 7, 8)
"""Exif orientations in which width and height change places."""


def displayed(planes: Plane, orientation: int) -> Plane:
    """Planes [..., h, w] as stored -> as displayed, by Exif orientation 1 to 8 (TIFF 6.0, tag 274)."""
    if orientation in TRANSPOSED:
        planes = planes.swapaxes(-1, -2)
    return _mirrored(planes, orientation)


def stored(planes: Plane, orientation: int) -> Plane:
    """The inverse of `displayed`."""
    planes = _mirrored(planes, orientation)
    return planes.swapaxes(-1, -2) if orientation in TRANSPOSED else planes


def displayed_shape(height: int, width: int, orientation: int) -> tuple[int, int]:
    return (width, height) if orientation in TRANSPOSED else (height, width)


def _mirrored(planes: Plane, orientation: int) -> Plane:
    if orientation in (2, 3, 6, 7):
        planes = planes[..., ::-1]
    return planes[..., ::-1, :] if orientation in (3, 4, 7, 8) else planes
