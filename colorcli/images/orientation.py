"""What all formats share: the network, asked about a picture the way its viewer sees it."""

from dataclasses import dataclass

import numpy as np

from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import guidance
from colorcli.colorizer.predictor import Colorizer
from colorcli.images.chroma import ChromaFit
from colorcli.images.metadata.exif import UPRIGHT
from colorcli.models.card import ModelCard
from colorcli.options import ColorOptions

TURNED_SIDEWAYS = (5, 6, 7, 8)
"""Exif orientations in which width and height change places."""


@dataclass(frozen=True)
class Colorist:
    colorizer: Colorizer
    look: ColorOptions

    @property
    def card(self) -> ModelCard:
        return self.colorizer.engine.card

    def small_shape(self, height: int, width: int) -> tuple[int, int]:
        return self.colorizer.working_shape(height, width)

    def colors(self, small: Plane, shape: tuple[int, int], orientation: int = UPRIGHT) -> ChromaFit:
        """Luma [h, w] at the working size of a picture of `shape`, both as stored -> its chroma.

        The picture is turned upright for the network and for the user's hints only.
        """
        upright = np.ascontiguousarray(turned(small, orientation))
        shown = shape[::-1] if orientation in TURNED_SIDEWAYS else shape
        (chroma,) = self.colorizer.predict([upright], [guidance(self.look, shown, upright, self.colorizer)])
        return ChromaFit.of(np.ascontiguousarray(unturned(chroma, orientation)), small)


def turned(planes: Plane, orientation: int) -> Plane:
    """[..., h, w] as stored -> as shown, by the eight Exif orientations (TIFF 6.0, tag 274)."""
    if orientation in TURNED_SIDEWAYS:
        planes = planes.swapaxes(-1, -2)
    if orientation in (2, 3, 6, 7):
        planes = planes[..., ::-1]
    if orientation in (3, 4, 7, 8):
        planes = planes[..., ::-1, :]
    return planes


def unturned(planes: Plane, orientation: int) -> Plane:
    """The way back from `turned`."""
    if orientation in (2, 3, 6, 7):
        planes = planes[..., ::-1]
    if orientation in (3, 4, 7, 8):
        planes = planes[..., ::-1, :]
    if orientation in TURNED_SIDEWAYS:
        planes = planes.swapaxes(-1, -2)
    return planes
