"""Degradation of luma as in old prints and film: the generator learns clean colors for damaged pictures.

After "Bringing Old Photos Back to Life" (Wan et al. 2020) and "Bringing Old Films Back to Life" (Wan et al.
2022): each fault has its own probability, and most pictures get none or a few. What a fault looks like is
drawn as a few numbers on the CPU; the pixels are made wherever the luma is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from colorcli.train.tensors import to_device

Rng = np.random.Generator
Numbers = NDArray[np.float64]
"""[N, K]: K numbers for each of N crops, as a fault's `draw` returns them."""
LONGEST_BLUR = 6
"""Radius in pixels of the blur's window: four standard deviations of the widest."""
MOST_LINES, MOST_SPECKS = 4, 7
JPEG_LUMA = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]).reshape(8, 8)  # fmt: skip
"""Quantization of luma at quality 50 (ITU-T T.81, table K.1)."""


@dataclass(frozen=True)
class Fault:
    """One kind of damage."""

    probability: float
    draw: Callable[[Rng, int], Sequence[float]]
    """Numbers of one fault in a square crop of so many pixels a side."""
    apply: Callable[[Tensor, Numbers], Tensor]
    """Luma [N, S, S] and the numbers -> damaged luma; it may leave [0, 1]."""


def draw_gray(rng: Rng) -> NDArray[np.float64]:
    """Weights of R', G', B' in the luma of a film stock: BT.601, or another random color sensitivity."""
    return rng.dirichlet([2.0, 4.0, 2.0]) if rng.random() < 0.5 else np.array([0.299, 0.587, 0.114])


def draw_faults(rng: Rng, size: int) -> dict[str, Sequence[float]]:
    """The faults of a crop of `size` pixels a side, and the numbers of each."""
    return {name: fault.draw(rng, size) for name, fault in FAULTS.items() if rng.random() < fault.probability}


def degrade(luma: Tensor, faults: Sequence[Mapping[str, Sequence[float]]]) -> Tensor:
    """Luma [N, S, S] in [0, 1] and the faults of each crop -> degraded luma, same shape and range."""
    luma = luma.clone()
    for name, fault in FAULTS.items():
        rows = [row for row, drawn in enumerate(faults) if name in drawn]
        if rows:
            index = to_device(rows, luma.device, torch.long)
            numbers = np.array([faults[row][name] for row in rows], np.float64)
            luma[index] = fault.apply(luma[index], numbers).clamp(0, 1)
    return luma


def _columns(numbers: Numbers, luma: Tensor) -> Iterator[Tensor]:
    """Each of the K numbers as [N, 1, 1]."""
    return iter(to_device(numbers.T[..., None, None], luma.device))


def _draw_fading(rng: Rng, _: int) -> Sequence[float]:
    return rng.uniform(0, 0.15), rng.uniform(0.8, 1), rng.uniform(0.7, 1.5)


def _fade(luma: Tensor, numbers: Numbers) -> Tensor:
    low, high, gamma = _columns(numbers, luma)
    return low + (high - low) * luma**gamma


def _draw_vignette(rng: Rng, _: int) -> Sequence[float]:
    return (rng.uniform(0.1, 0.4),)


def _vignette(luma: Tensor, numbers: Numbers) -> Tensor:
    (strength,) = _columns(numbers, luma)
    place = torch.linspace(-1, 1, luma.shape[-1], device=luma.device)
    return luma * (1 - strength * (place.square() + place.square()[:, None]) / 2)


def _draw_blur(rng: Rng, _: int) -> Sequence[float]:
    return (rng.uniform(0.4, 1.5),)


def _blur(luma: Tensor, numbers: Numbers) -> Tensor:
    """Gaussian, with a standard deviation of its own for each crop; the border is mirrored."""
    (deviation,) = _columns(numbers, luma)
    offset = torch.arange(-LONGEST_BLUR, LONGEST_BLUR + 1, device=luma.device)
    window = torch.softmax(-(offset / deviation).square() / 2, dim=-1)  # [N, 1, 13]
    padded = F.pad(luma[None], (LONGEST_BLUR,) * 4, mode="reflect")
    rows = F.conv2d(padded, window[..., None], groups=len(luma))
    return F.conv2d(rows, window[:, :, None], groups=len(luma))[0]


def _draw_grain(rng: Rng, _: int) -> Sequence[float]:
    return float(rng.integers(1 << 53)), rng.uniform(0.01, 0.07), rng.random() < 0.5


def _grain(luma: Tensor, numbers: Numbers) -> Tensor:
    """Noise from the seed in the numbers, so that it is the same on every device."""
    shape = tuple(luma.shape[1:])
    seeds = numbers[:, 0].astype(np.int64).tolist()
    drawn = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
    noise = to_device(np.stack(drawn), luma.device)
    strength, coarse = _columns(numbers[:, 1:], luma)
    # On small film formats, grain is coarser than a pixel.
    return luma + strength * torch.where(coarse > 0, 1.6 * _blur(noise, np.full((len(luma), 1), 0.7)), noise)


def _draw_scratches(rng: Rng, size: int) -> Sequence[float]:
    absent = -9.0
    lines = np.full((MOST_LINES, 3), absent)
    for line in lines[: rng.integers(1, MOST_LINES, endpoint=True)]:
        line[:] = rng.integers(0, size), rng.integers(-4, 5), rng.choice([0.1, 0.95])
    specks = np.full((MOST_SPECKS, 4), absent)
    for speck in specks[: rng.integers(0, MOST_SPECKS, endpoint=True)]:
        speck[:] = rng.integers(0, size), rng.integers(0, size), rng.integers(1, 3), rng.choice([0.05, 1.0])
    return [*lines.ravel(), *specks.ravel()]


def _scratch(luma: Tensor, numbers: Numbers) -> Tensor:
    """Lines from top to bottom that drift sideways, and round specks; their edges are smooth."""
    column = _columns(numbers, luma)
    x = torch.arange(luma.shape[-1], device=luma.device, dtype=luma.dtype)
    y = x[:, None]
    for _ in range(MOST_LINES):
        left, drift, tone = next(column), next(column), next(column)
        distance = (x - left - drift * y / luma.shape[-1]).abs()
        luma = luma.lerp(tone.expand_as(luma), (1 - distance).clamp(0, 1))
    for _ in range(MOST_SPECKS):
        left, top, radius, tone = (next(column) for _ in range(4))
        distance = ((x - left).square() + (y - top).square()).sqrt()
        luma = luma.lerp(tone.expand_as(luma), (radius + 0.5 - distance).clamp(0, 1))
    return luma


def _draw_jpeg(rng: Rng, _: int) -> Sequence[float]:
    return (int(rng.integers(35, 95)),)


def _jpeg(luma: Tensor, numbers: Numbers) -> Tensor:
    """What baseline JPEG leaves of luma at a quality (ITU-T T.81; quality as in the IJG's library)."""
    side, height, width = 8, *luma.shape[1:]
    frequency, place = np.arange(side)[:, None], np.arange(side) + 0.5
    cosines = np.cos(np.pi / side * frequency * place) * np.where(frequency, 0.5, math.sqrt(1 / side))
    quality = numbers[:, 0, None, None]
    percent = np.where(quality < 50, np.floor(5000 / quality), 200 - 2 * quality)
    table = np.clip(np.floor((JPEG_LUMA * percent + 50) / 100), 1, 255)
    dct, steps = to_device(cosines, luma.device), to_device(table, luma.device)[:, None, None]
    # Blocks are completed by mirroring.
    padded = F.pad(luma[None], (0, -width % side, 0, -height % side), mode="reflect")[0]
    codes = (255 * padded).round() - 128
    # [N, rows, columns, 8, 8]
    blocks = codes.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3)
    quantized = ((dct @ blocks @ dct.T) / steps).round() * steps
    decoded = (dct.T @ quantized @ dct).transpose(2, 3).flatten(3).flatten(1, 2)
    return ((decoded + 128).round() / 255)[:, :height, :width]


FAULTS = {
    "fading": Fault(0.5, _draw_fading, _fade),
    "vignette": Fault(0.25, _draw_vignette, _vignette),
    "blur": Fault(0.3, _draw_blur, _blur),
    "grain": Fault(0.35, _draw_grain, _grain),
    "scratches": Fault(0.1, _draw_scratches, _scratch),
    "jpeg": Fault(0.25, _draw_jpeg, _jpeg),
}
"""All faults, in the order of application."""
