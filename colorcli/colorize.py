"""Luma in, chroma out: what stills and film share."""

import cv2
import numpy as np

from colorcli.core.color import Plane
from colorcli.core.condition import Hints, condition
from colorcli.engines import Engine
from colorcli.spread import obey
from colorcli.upsample import guided_upsample


class Colorizer:
    """A generator at its working size, with the way down to that size and up again."""

    def __init__(self, engine: Engine, *, size: int | None = None, saturation: float = 1.0) -> None:
        """`size`: working short side in pixels, the card's if None; `saturation` multiplies chroma."""
        self.engine = engine
        self.size = size or engine.card.working_size
        self.saturation = saturation

    def working_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at the working size: aspect kept, never larger than the picture."""
        scale = min(1.0, self.size / min(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def shrink(self, luma: Plane) -> Plane:
        """Luma [H, W] -> luma at the working size [h, w]."""
        height, width = self.working_shape(*luma.shape)
        return cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    def predict(self, lumas: list[Plane], hints: list[Hints | None] | None = None) -> list[Plane]:
        """Lumas [h, w] at working size, all of one shape, -> chroma [2, h, w] each, in one batch.

        Where there are hints the chroma meets them, and around them up to the next edge.
        """
        hints = hints or [None] * len(lumas)
        height, width = lumas[0].shape
        pad = ((0, 0), (0, 0), (0, -height % self.multiple_of), (0, -width % self.multiple_of))
        batch = np.stack([condition(*pair) for pair in zip(lumas, hints, strict=True)])
        chroma = self.engine.colorize(np.pad(batch, pad, mode="edge"))[:, :, :height, :width]
        made = [
            plane if known is None else obey(plane, known, luma)
            for plane, known, luma in zip(chroma * self.saturation, hints, lumas, strict=True)
        ]
        return [np.clip(plane, -0.5, 0.5) for plane in made]

    def colorize(self, luma: Plane, hints: Hints | None = None) -> Plane:
        """Luma [H, W] -> chroma [2, H, W], not yet fitted into the gamut; hints are at working size."""
        small = self.shrink(luma)
        (chroma,) = self.predict([small], [hints])
        return guided_upsample(chroma, small, luma)

    @property
    def multiple_of(self) -> int:
        return self.engine.card.multiple_of
