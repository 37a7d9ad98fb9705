"""Does an exported generator give what torch gives? Differences in 8-bit code values, at several shapes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.condition import CHANNELS
from colorcli.engines.base import Engine

Shape = tuple[int, int, int]
"""Pictures, height, width."""

SHAPES = ((1, 2, 2), (1, 8, 8), (3, 8, 4), (8, 4, 6))
"""Height and width in multiples of what the generator takes."""

LIMITS = {"fp32": (0.25, 0.05), "fp16": (4.0, 0.5), "bf16": (24.0, 3.0), "int8": (64.0, 6.0)}
"""Largest and mean difference allowed, by precision: fp32 may round a code value differently, no more; the
others may cost what their bits cost, while a wrong layer, order of channels or padding costs far more."""


@dataclass(frozen=True)
class Parity:
    shape: Shape
    largest: float
    """Largest difference of chroma, in code values of 255."""
    mean: float

    def within(self, precision: str) -> bool:
        largest, mean = LIMITS[precision]
        return self.largest <= largest and self.mean <= mean


def compare(reference: Engine, made: Engine, shapes: Sequence[Shape] = ()) -> Iterator[Parity]:
    """Run both over every shape, those of `SHAPES` if none are given, and yield how far they are apart."""
    multiple = reference.card.multiple_of
    usual = [(batch, rows * multiple, columns * multiple) for batch, rows, columns in SHAPES]
    for shape in shapes or usual:
        batch, height, width = shape
        condition = sample_condition((batch, CHANNELS, height, width))
        difference = 255 * np.abs(reference.colorize(condition) - made.colorize(condition))
        yield Parity(shape, float(difference.max()), float(difference.mean()))


def sample_condition(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A condition [N, 4, H, W] with a photograph's spectrum (about 1 / f), every other picture with hints."""
    rng = np.random.default_rng(seed)
    height, width = shape[2:]
    made = np.zeros(shape, np.float32)
    for picture in made:
        picture[0] = _octaves(rng, height, width)
    for picture in made[1::2]:
        picture[3] = rng.random((height, width)) < 0.02
        picture[1:3] = rng.uniform(-0.3, 0.3, (2, height, width)) * picture[3]
    return made


def _octaves(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Noise [H, W] in [0, 1] whose octaves are the fainter the finer they are."""
    total = np.zeros((height, width), np.float32)
    side = min(height, width)
    for octave in range(int(np.log2(side)) + 1):
        cells = rng.standard_normal((1 << octave, 1 << octave), np.float32) / (1 << octave)
        total += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = total.min(), total.max()
    return np.asarray((total - low) / max(high - low, 1e-6), np.float32)
