"""What all formats share: the network, asked about a picture the way its viewer sees it."""

from dataclasses import dataclass

import numpy as np

from colorcli.colorize import Colorizer
from colorcli.core.card import ModelCard
from colorcli.core.color import Plane
from colorcli.core.condition import Hints
from colorcli.options import Look
from colorcli.stills.exif import UPRIGHT
from colorcli.stills.paint import ChromaFit


@dataclass(frozen=True)
class Colorist:
    colorizer: Colorizer
    look: Look

    @property
    def card(self) -> ModelCard:
        return self.colorizer.engine.card

    def small_shape(self, height: int, width: int) -> tuple[int, int]:
        return self.colorizer.working_shape(height, width)

    def colours(self, small: Plane, orientation: int = UPRIGHT) -> ChromaFit:
        """Luma [h, w] of a picture, as stored, at the working size -> its chroma.

        The picture is turned upright for the network and for the user's hints only.
        """
        upright = np.ascontiguousarray(turned(small, orientation))
        (chroma,) = self.colorizer.predict([upright], [self._hints(upright)])
        return ChromaFit.of(np.ascontiguousarray(unturned(chroma, orientation)), small)

    def _hints(self, upright: Plane) -> Hints | None:
        return None


def turned(planes: Plane, orientation: int) -> Plane:
    """[..., h, w] as stored -> as shown, by the eight Exif orientations (TIFF 6.0, tag 274)."""
    if orientation in (5, 6, 7, 8):
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
    if orientation in (5, 6, 7, 8):
        planes = planes.swapaxes(-1, -2)
    return planes
