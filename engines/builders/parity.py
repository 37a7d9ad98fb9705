"""Compares an exported model with its source: differences in chroma at several shapes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.condition import CHANNELS, Hints
from colorcli.engines.engine_file import Shape
from colorcli.models.adapter import ModelAdapter

SHAPES = ((1, 2, 2), (1, 8, 8), (3, 8, 4), (8, 4, 6))
"""Pictures, and height and width in multiples of what the generator takes."""

LIMITS = {"fp32": (0.25, 0.05), "fp16": (4.0, 0.5), "bf16": (24.0, 3.0), "int8": (64.0, 6.0)}
"""Largest and mean difference allowed, by precision, in code values. fp32 may differ in rounding only; the
others may lose what their bits lose, while a wrong layer, channel order or padding differs far more."""


@dataclass(frozen=True)
class Parity:
    """The difference between two models' chroma at one shape."""

    shape: Shape
    largest: float
    """In code values of 255."""
    mean: float
    """In code values of 255."""

    def within(self, precision: str) -> bool:
        """Whether a precision explains the difference."""
        largest, mean = LIMITS[precision]
        return self.largest <= largest and self.mean <= mean


def default_shapes(multiple_of: int) -> list[Shape]:
    """`SHAPES` in pixels."""
    return [(batch, rows * multiple_of, columns * multiple_of) for batch, rows, columns in SHAPES]


def compare(reference: ModelAdapter, exported: ModelAdapter, shapes: Sequence[Shape]) -> Iterator[Parity]:
    """Run two versions of the same model at every shape."""
    for shape in shapes:
        batch, height, width = shape
        conditions = sample_condition((batch, CHANNELS, height, width))
        lumas = [condition[0] for condition in conditions]
        hints = [Hints(known[1:3], known[3]) if known[3].any() else None for known in conditions]
        expected, actual = (np.stack(model.predict(lumas, hints)) for model in (reference, exported))
        difference = 255 * np.abs(expected - actual)
        yield Parity(shape, float(difference.max()), float(difference.mean()))


def sample_condition(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A random condition [N, 4, H, W]: luma with a spectrum of about 1 / f, hints in every other picture."""
    rng = np.random.default_rng(seed)
    height, width = shape[2:]
    conditions = np.zeros(shape, np.float32)
    for picture in conditions:
        picture[0] = _octaves(rng, height, width)
    for picture in conditions[1::2]:
        picture[3] = rng.random((height, width)) < 0.02
        picture[1:3] = rng.uniform(-0.3, 0.3, (2, height, width)) * picture[3]
    return conditions


def _octaves(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Noise [H, W] in [0, 1], the sum of octaves whose amplitude falls with their frequency."""
    total = np.zeros((height, width), np.float32)
    side = min(height, width)
    for octave in range(int(np.log2(side)) + 1):
        cells = rng.standard_normal((1 << octave, 1 << octave), np.float32) / (1 << octave)
        total += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = total.min(), total.max()
    return np.asarray((total - low) / max(high - low, 1e-6), np.float32)
