"""Luma in, chroma out: what stills and film share."""

import cv2
import numpy as np

from colorcli.color.condition import Hints, condition
from colorcli.color.guided_filter import guided_upsample
from colorcli.color.propagation import apply_hints
from colorcli.color.ycbcr import Plane
from colorcli.engines import Engine


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
        return cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)

    def predict(self, lumas: list[Plane], hints: list[Hints | None] | None = None) -> list[Plane]:
        """Lumas [h, w] at working size, all of one shape, -> chroma [2, h, w] each, in one batch.

        Where there are hints the chroma meets them, and around them up to the next edge.
        """
        hints = hints or [None] * len(lumas)
        made = self._forward([condition(*pair) for pair in zip(lumas, hints, strict=True)])
        hinted = [(place, known) for place, known in enumerate(hints) if known is not None]
        if hinted:
            alone = self._forward([condition(lumas[place]) for place, _ in hinted])
            for (place, known), plain in zip(hinted, alone, strict=True):
                made[place] = np.clip(apply_hints(made[place], plain, known, lumas[place]), -0.5, 0.5)
        return made

    def _forward(self, conditions: list[Plane]) -> list[Plane]:
        """Conditions [4, h, w] -> chroma [2, h, w] each, padded on the way as the network wants it."""
        height, width = conditions[0].shape[1:]
        pad = ((0, 0), (0, 0), (0, -height % self.multiple_of), (0, -width % self.multiple_of))
        chroma = self.engine.colorize(np.pad(np.stack(conditions), pad, mode="edge"))[:, :, :height, :width]
        return list(np.clip(chroma * self.saturation, -0.5, 0.5))

    def colorize(self, luma: Plane, hints: Hints | None = None) -> Plane:
        """Luma [H, W] -> chroma [2, H, W], not yet fitted into the gamut; hints are at working size."""
        small = self.shrink(luma)
        (chroma,) = self.predict([small], [hints])
        return guided_upsample(chroma, small, luma)

    @property
    def multiple_of(self) -> int:
        return self.engine.card.multiple_of
