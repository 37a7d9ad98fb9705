"""Luma in, chroma out at the working size: the step that stills and video share."""

from collections.abc import Sequence

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.guided_filter import guided_upsample
from colorcli.color.propagation import apply_hints, fill_gaps
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.windows import is_panorama, predict_in_windows
from colorcli.errors import UsageError
from colorcli.models import ModelAdapter
from colorcli.networks.card import ModelCard

MOST_PICTURES = 8
"""Pictures in a batch on a card; on a CPU, batches take memory and save no time."""


class ChromaPredictor:
    """A model at a working size, with the way down to that size and up again."""

    def __init__(self, model: ModelAdapter, *, size: int | None = None, saturation: float = 1.0) -> None:
        """Set up a predictor; the caller closes the model.

        Args:
            size: working short side in pixels; None takes the one on the model card.
            saturation: factor for all predicted chroma.

        Raises:
            UsageError: the model works at another size only.
        """
        if size is not None and model.fixed_size is not None and size != min(model.fixed_size):
            height, width = model.fixed_size
            cause = f"{model.card.name} {model.card.version} works at {width}x{height} only"
            raise UsageError(f"--size {size}", cause, "leave out --size")
        self._model = model
        self.size = size or model.card.working_size
        self.saturation = saturation

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._model.card

    @property
    def batch(self) -> int:
        """Pictures of one shape that are best predicted together, where that many are known."""
        return 1 if self._model.device == "cpu" else MOST_PICTURES

    def take_note(self) -> str:
        """What the user should know about the device since the last call; empty if nothing."""
        return self._model.take_note()

    def working_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at the working size: aspect kept, never larger than the picture."""
        scale = min(1.0, self.size / min(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def shrink(self, luma: Plane) -> Plane:
        """Luma [H, W] -> luma at the working size [h, w]."""
        height, width = self.working_shape(*luma.shape)
        return cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None] | None = None) -> list[Plane]:
        """Predict chroma [2, h, w] in [-0.5, 0.5] for lumas [h, w] in [0, 1], in one batch.

        Chroma equals the hints where they are, and follows them up to the next edge around.

        Args:
            lumas: at the working size, all of one shape.
            hints: one entry for each luma, of its shape.
        """
        hints = hints or [None] * len(lumas)
        sparse = [None if known is None or known.fills_regions else known for known in hints]
        chroma = self._predict(lumas, sparse)
        for index, known in enumerate(hints):
            if known is not None and known.fills_regions:
                chroma[index] = np.clip(fill_gaps(chroma[index], known, lumas[index]), -0.5, 0.5)
        hinted = [(index, known) for index, known in enumerate(sparse) if known is not None]
        if hinted:
            unhinted = self._predict([lumas[index] for index, _ in hinted], [None] * len(hinted))
            for (index, known), plain in zip(hinted, unhinted, strict=True):
                applied = apply_hints(chroma[index], plain, known, lumas[index])
                chroma[index] = np.clip(applied, -0.5, 0.5)
        return chroma

    def _predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        """The model's own prediction, at the saturation asked for."""
        if is_panorama(lumas[0]):
            chroma = [
                predict_in_windows(lambda part, own: self._model.predict([part], [own])[0], luma, known)
                for luma, known in zip(lumas, hints, strict=True)
            ]
        else:
            chroma = self._model.predict(lumas, hints)
        if self.saturation == 1:
            return chroma
        return [np.clip(plane * self.saturation, -0.5, 0.5) for plane in chroma]

    def colorize(self, luma: Plane, hints: Hints | None = None) -> Plane:
        """Luma [H, W] of any size -> chroma [2, H, W], not yet fitted into the gamut.

        Args:
            hints: at the working size.
        """
        small = self.shrink(luma)
        (chroma,) = self.predict([small], [hints])
        return guided_upsample(chroma, small, luma)
