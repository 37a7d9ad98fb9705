"""What the user knows of a picture's colors, from --hints and --reference, as one condition."""

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.hints import Shape, read_hints
from colorcli.color.palette_transfer import read_reference, reference_hints
from colorcli.color.propagation import influence
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import Colorizer
from colorcli.options import ColorOptions

SPOKEN_FOR = 0.1
"""Influence of a person's hint from which the reference is silent: the two must not meet within one thing."""


def check_guidance(look: ColorOptions) -> None:
    """See to it that the files can be used, before work starts.

    Raises:
        UsageError: one of them is missing, or holds no hints or colors.
    """
    if look.hints is not None:
        read_hints(look.hints)
    if look.reference is not None:
        read_reference(look.reference)


def guidance(look: ColorOptions, shape: Shape, luma: Plane, colorizer: Colorizer) -> Hints | None:
    """For a picture of `shape` as displayed, its luma [h, w] at the working size: hints of that size, if any.

    Raises:
        UsageError: a file that `look` names is missing or holds no hints or colors.
        InputError: the hints do not belong to this picture.
    """
    given = read_hints(look.hints).on(shape, luma.shape) if look.hints else None
    if look.reference is None:
        return given
    found = reference_hints(read_reference(look.reference), luma, lambda plane: colorizer.predict([plane])[0])
    return found if given is None else _united(given, found, luma)


def _united(given: Hints, found: Hints, luma: Plane) -> Hints:
    """The person's hints, and the reference's where those do not reach."""
    free = found.mask * (influence(given.mask, luma) < SPOKEN_FOR)
    chroma = np.where(given.mask > 0, given.chroma, found.chroma)
    return Hints(chroma, np.maximum(given.mask, free))
