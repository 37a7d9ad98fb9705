"""One picture shown as many: turned, cut out, mirrored, exposed otherwise, beside part of another.

A network that sees the same pictures again and again learns their colours by heart; here none comes twice.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.core.color import Plane

Rng = np.random.Generator

TURNED, EXPOSED = 0.3, 0.5
"""Shares of the views that are turned, and whose tones are others."""


def random_view(rgb: NDArray[np.uint8], size: int, rng: Rng) -> Plane:
    """R'G'B' [H, W, 3] -> part of it as [3, S, S] in [0, 1]."""
    if rng.random() < TURNED:
        rgb = turned(rgb, rng.uniform(-15, 15))
    crop = cv2.resize(random_part(rgb, rng), (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    view = np.ascontiguousarray(crop.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
    return exposed(view, rng) if rng.random() < EXPOSED else view


def turned(rgb: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turned about its centre, magnified until the corners that mirror the picture are small."""
    height, width = rgb.shape[:2]
    angle = np.deg2rad(abs(degrees))
    filling = np.cos(angle) + max(height / width, width / height) * np.sin(angle)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1 + 0.6 * (filling - 1))
    return cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101).astype(np.uint8)


def random_part(rgb: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Three tenths of the area or more, at another aspect."""
    height, width = rgb.shape[:2]
    area = height * width * rng.uniform(0.3, 1)
    aspect = np.exp(rng.uniform(np.log(2 / 3), np.log(3 / 2)))
    part_height = min(height, round(np.sqrt(area / aspect)))
    part_width = min(width, round(np.sqrt(area * aspect)))
    top = rng.integers(0, height - part_height + 1)
    left = rng.integers(0, width - part_width + 1)
    return rgb[top : top + part_height, left : left + part_width]


def exposed(rgb: Plane, rng: Rng) -> Plane:
    """R'G'B' [3, S, S] as another exposure, paper or camera would have shown it."""
    black, white = rng.uniform(0, 0.08), rng.uniform(0.8, 1.1)
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    return np.clip(black + (white - black) * rgb**gamma, 0, 1).astype(np.float32)


def joined(one: Plane, other: Plane, rng: Rng) -> Plane:
    """[3, S, S] whose right or lower part is the other's (CutMix, Yun et al. 2019, with a straight cut)."""
    edge = round(one.shape[-1] * rng.uniform(0.3, 0.7))
    across = rng.random() < 0.5
    if across:
        return np.concatenate([one[:, :, :edge], other[:, :, edge:]], axis=2)
    return np.concatenate([one[:, :edge], other[:, edge:]], axis=1)
