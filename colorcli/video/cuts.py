"""Cuts: whether a picture and the one before it belong to different shots.

The optical flow decides. It is searched only where thumbnails differ enough for a cut, which is one picture
in sixteen of the film tried, so that a pass over a whole film finds its cuts at little cost. The decision
depends on the two pictures alone: wherever a film is cut into tasks, its shots are the same.
"""

import cv2
import numpy as np

from colorcli.color.ycbcr import Plane
from colorcli.video.flow import FlowImage, FlowMeter, Positions, luma_agreement

LEAST_CONTINUITY = 0.35
"""Share of a picture that the previous one must explain within a shot; less is a cut."""
LEAST_DIFFERENCE = 0.04
"""Mean difference of luma between thumbnails below which there is no cut. At the cuts of the film tried it is
0.09 at least; noise that the flow cannot follow stays below 0.03."""
THUMBNAIL = (24, 16)
"""Columns and rows of thumbnails: too few for moving things to count."""


class CutDetector:
    """Finds cuts in pictures that are given in order."""

    def __init__(self) -> None:
        self._previous: tuple[Plane, Plane] | None = None
        """Luma and thumbnail of the picture before."""

    def is_cut(self, small: Plane) -> bool:
        """Whether the next picture, by its luma [h, w] at the working size, starts a shot; the first does."""
        thumbnail = cv2.resize(small, THUMBNAIL, interpolation=cv2.INTER_AREA)
        before, self._previous = self._previous, (small, thumbnail)
        if before is None:
            return True
        if float(np.abs(thumbnail - before[1]).mean()) < LEAST_DIFFERENCE:
            return False
        previous, image = FlowImage.of(before[0]), FlowImage.of(small)
        backward, _, trust, _ = FlowMeter().between(previous, image)
        return is_cut(previous, image, backward, trust)


def is_cut(previous: FlowImage, image: FlowImage, backward: Positions, trust: Plane) -> bool:
    """Whether the previous picture explains too little of a picture for both to belong to one shot.

    Args:
        backward: positions of the picture's pixels in the previous one.
        trust: trust [h, w] in them.
    """
    return float((luma_agreement(previous, image, backward) * trust).mean()) < LEAST_CONTINUITY
