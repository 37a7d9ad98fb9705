"""Generated black-and-white images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from colorcli.options import Outcome

Colorize = Callable[..., Outcome]
"""What the fixture `colorize` gives."""


def color_scene(height: int = 90, width: int = 131, peak: int = 255) -> NDArray[np.generic]:
    """A picture [H, W, 3] with colors of its own, blue at the top and red at the bottom."""
    gray = scene(height, width, peak)
    down = np.linspace(0, 1, height)[:, None]
    color = np.stack([gray * down, gray / 2, gray * (1 - down)], axis=2)
    return np.rint(color).astype(gray.dtype)


def scene(height: int = 90, width: int = 131, peak: int = 255) -> NDArray[np.generic]:
    """A gray picture [H, W] of ramps, edges, noise, pure black and pure white."""
    rng = np.random.default_rng(height * width)
    down, across = np.mgrid[0:height, 0:width]
    picture = (across / width + 0.2 * np.sin(down / 5.0)) * 0.9 + rng.normal(0, 0.05, (height, width))
    picture[(down // 12 + across // 12) % 5 == 0] = 1
    picture[(down // 7 + across // 17) % 6 == 0] = 0
    picture[: height // 8] = np.linspace(0, 1, width)
    return np.rint(np.clip(picture, 0, 1) * peak).astype(np.uint8 if peak == 255 else np.uint16)
