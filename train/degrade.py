"""Degradation of luma as in old prints and film: the generator learns clean colors for damaged pictures.

After "Bringing Old Photos Back to Life" (Wan et al. 2020) and "Bringing Old Films Back to Life" (Wan et al.
2022): each fault has its own probability, and most pictures get none or a few.
"""

from collections.abc import Callable

import cv2
import numpy as np

from colorcli.color.ycbcr import Plane

Rng = np.random.Generator


def gray_from_rgb(rgb: Plane, rng: Rng) -> Plane:
    """R'G'B' [3, H, W] -> luma [H, W] of a film stock: BT.601, or another random color sensitivity."""
    weights = np.array([0.299, 0.587, 0.114])
    if rng.random() < 0.5:
        weights = rng.dirichlet([2.0, 4.0, 2.0])
    return np.tensordot(weights.astype(np.float32), rgb, axes=1)


def gamma_and_fading(luma: Plane, rng: Rng) -> Plane:
    low, high = rng.uniform(0, 0.15), rng.uniform(0.8, 1)
    return low + (high - low) * luma ** rng.uniform(0.7, 1.5)


def blur(luma: Plane, rng: Rng) -> Plane:
    return cv2.GaussianBlur(luma, (0, 0), rng.uniform(0.4, 1.5))


def grain(luma: Plane, rng: Rng) -> Plane:
    noise = rng.standard_normal(luma.shape, dtype=np.float32) * rng.uniform(0.01, 0.07)
    if rng.random() < 0.5:  # on small film formats, grain is coarser than a pixel
        noise = 1.6 * cv2.GaussianBlur(noise, (0, 0), 0.7)
    return luma + noise


def vignette(luma: Plane, rng: Rng) -> Plane:
    y, x = np.ogrid[-1 : 1 : luma.shape[0] * 1j, -1 : 1 : luma.shape[1] * 1j]
    return luma * (1 - rng.uniform(0.1, 0.4) * (x * x + y * y) / 2).astype(np.float32)


def scratches(luma: Plane, rng: Rng) -> Plane:
    luma, (height, width) = luma.copy(), luma.shape
    for _ in range(rng.integers(1, 5)):
        x, tone = int(rng.integers(0, width)), float(rng.choice([0.1, 0.95]))
        drift = int(rng.integers(-4, 5))
        cv2.line(luma, (x, 0), (x + drift, height), tone, 1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 8)):
        center = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(luma, center, int(rng.integers(1, 3)), float(rng.choice([0.05, 1.0])), -1, cv2.LINE_AA)
    return luma


def jpeg(luma: Plane, rng: Rng) -> Plane:
    pixels = np.clip(luma * 255, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded.astype(np.float32) / np.float32(255)


FAULTS: tuple[tuple[float, Callable[[Plane, Rng], Plane]], ...] = (
    (0.5, gamma_and_fading), (0.25, vignette), (0.3, blur), (0.35, grain), (0.1, scratches), (0.25, jpeg),
)  # fmt: skip
"""Probability and fault, in the order of application."""


def degrade(luma: Plane, rng: Rng) -> Plane:
    """Luma [H, W] in [0, 1] -> degraded luma, same shape and range."""
    for probability, fault in FAULTS:
        if rng.random() < probability:
            luma = np.clip(fault(luma, rng), 0, 1)
    return luma.astype(np.float32)
