"""What a shot list changes about a shot's colors: saturation, hue and warmth."""

from dataclasses import dataclass

import numpy as np

from colorcli.color.ycbcr import Plane

WARMEST = np.array([-0.12, 0.06], np.float32)[:, None, None]
"""Change of Cb and Cr in white at warmth 1: about from daylight to the light of a halogen lamp."""


@dataclass(frozen=True)
class Grade:
    """Changes to chroma; the default changes nothing."""

    saturation: float = 1.0
    """Factor on the colors."""
    hue: float = 0.0
    """Degrees by which hues turn: red toward yellow, yellow toward green."""
    warmth: float = 0.0
    """From -1, cold, to 1, warm; the darker, the less."""

    def apply(self, chroma: Plane, luma: Plane) -> Plane:
        """Grade chroma [2, h, w] of a picture with luma [h, w] in [0, 1]."""
        graded = chroma * self.saturation
        if self.hue:
            sine, cosine = np.sin(np.radians(self.hue)), np.cos(np.radians(self.hue))
            turn = np.array([[cosine, -sine], [sine, cosine]], np.float32)
            graded = np.tensordot(turn, graded, 1)
        if self.warmth:
            graded = graded + np.float32(self.warmth) * WARMEST * luma
        return graded

    def __str__(self) -> str:
        """What it changes, in words; empty for nothing."""
        values = (("saturation", self.saturation, 1), ("hue", self.hue, 0), ("warmth", self.warmth, 0))
        return ", ".join(f"{name} {value:g}" for name, value, usual in values if value != usual)


UNGRADED = Grade()
