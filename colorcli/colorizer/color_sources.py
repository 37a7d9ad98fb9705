"""The colors that the user supplies with --hints and --reference, read once a run."""

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.hints import OfFrames, Points, Shape, Strokes, read_hints
from colorcli.color.palette_transfer import Reference, read_reference, transfer_palette
from colorcli.color.propagation import influence
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.options import ColorOptions

HINT_INFLUENCE = 0.1
"""Influence of a user's hint from which on the reference gives none: both within one object would clash."""


class ReferencePicture:
    """A reference picture, and what each predictor makes of it, computed once."""

    def __init__(self, picture: Path | Plane) -> None:
        """Take a file, or R'G'B' [3, H, W] in [0, 1], as a reference.

        Raises:
            UsageError: it cannot be read, or has no colors.
        """
        rgb = read_reference(picture) if isinstance(picture, Path) else picture
        self._reference = Reference.of(rgb)
        self._predictions: WeakKeyDictionary[ChromaPredictor, Plane] = WeakKeyDictionary()

    def hints_for(self, luma: Plane, predictor: ChromaPredictor) -> Hints:
        """Hints of the size of luma [h, w], which is at the working size."""
        if predictor not in self._predictions:
            (self._predictions[predictor],) = predictor.predict([self._reference.luma])
        prediction = self._predictions[predictor]
        return transfer_palette(
            self._reference, prediction, luma, lambda plane: predictor.predict([plane])[0]
        )


@dataclass(frozen=True)
class ColorSources:
    """The hint file and the reference picture of a run."""

    hints: Points | Strokes | OfFrames | None = None
    reference: ReferencePicture | None = None

    @classmethod
    def load(cls, color: ColorOptions) -> "ColorSources":
        """Read the files that the options name.

        Raises:
            UsageError: one of them is missing, or holds no hints or colors.
        """
        return cls(
            read_hints(color.hints) if color.hints else None,
            ReferencePicture(color.reference) if color.reference else None,
        )

    def hints_for(self, shape: Shape, luma: Plane, predictor: ChromaPredictor) -> Hints | None:
        """The known colors of one picture: the user's hints, and the reference's where those do not reach.

        Args:
            shape: height and width of the picture as displayed.
            luma: [h, w], upright at the working size.

        Returns:
            Hints of the shape of `luma`; None where there are no sources.

        Raises:
            InputError: the hints do not belong to this picture.
        """
        given = self.hints.on(shape, luma.shape) if self.hints else None
        if self.reference is None:
            return given
        found = self.reference.hints_for(luma, predictor)
        return found if given is None else _combined(given, found, luma)


def _combined(given: Hints, found: Hints, luma: Plane) -> Hints:
    free = found.mask * (influence(given.mask, luma) < HINT_INFLUENCE)
    chroma = np.where(given.mask > 0, given.chroma, found.chroma)
    return Hints(chroma, np.maximum(given.mask, free))
