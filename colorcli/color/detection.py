"""Whether a picture has color, or is black and white, tinted, toned or yellowed.

A tinted or toned print has one color for each shade of gray: its chroma is a function of its luma. Chroma
that this function does not explain is color. The strength of a tone may vary over a print (mounts, stains,
fading) where its hue does not, so differences along the tone's own hue count less, the stronger the tone is.
Measured on small averages, so that grain, JPEG noise and dust do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane

SIDE = 64
"""Short side in pixels at which color is measured."""
SHADES = 16
"""Steps of luma between which a tone may change."""
TONE = 0.05
"""Mean chroma at which a tone is so strong that differences along its hue count half."""
COLORFUL = 0.01
"""Unexplained chroma, as a root mean square over the picture, above which it has color. Thirty real toned and
yellowed photographs are below 0.0093; of 1,770 color photographs 97 % are above."""
NEUTRAL = 0.002
"""Deviation from the mean chroma below which there is so little chroma that no tone is fitted."""
RIDGE = 1e-6
"""Relative weight that keeps the fit regular."""
VIVID = 0.1
"""Unexplained chroma above which a pixel of a video's frame counts no more: less than 2 % of the area is then
no color."""
EDGE = 0.15
"""Share of the height at the upper and lower edge in which color alone, as of a time code, does not count."""
CERTAIN = 0.05
"""Unexplained chroma that is color even if the neighboring frames do not have it, as in fast motion."""
OWN = 0.06
"""Unexplained chroma from which on a part of a frame without color, as a logo, keeps its own."""
OWN_AREA = 0.1
"""Share of the frame from which on such parts are no longer small: the frame is badly toned rather."""
GRID = (48, 64)
"""Rows and columns of cells in which such parts are found."""
COLORED, COLORLESS = 0.0105, 0.007
"""Unexplained chroma above which a frame of a video has color, and below which it has none; between the two,
it is what the previous frame was."""


def has_color(luma: Plane, chroma: Plane) -> bool:
    """Whether a picture has color: luma [h, w] in [0, 1], chroma [2, h, w], of the same area at any size."""
    return unexplained_chroma(luma, chroma) > COLORFUL


class ColorDetector:
    """Whether frames of a video have color, with hysteresis: noise near the limit does not split a shot.

    Color lies in the middle of a frame and is there in the next frame, too. Chroma noise of analog video
    changes with every frame, and logos and time codes are small or lie at the upper or lower edge.
    """

    def __init__(self, *, has_color: bool = False) -> None:
        """`has_color`: of the frame before the first one."""
        self._has_color = has_color

    def detect(self, frame: "FrameChroma", neighbors: Sequence["FrameChroma"] = ()) -> bool:
        """Whether the next frame has color; `neighbors` are the frames before and after it, if any."""
        measured = frame.strength()
        if measured < CERTAIN:
            lasting = [frame.strength(other) for other in neighbors if other.shape == frame.shape]
            measured = min(measured, max(lasting, default=measured))
        self._has_color = measured > (COLORLESS if self._has_color else COLORED)
        return self._has_color


class FrameChroma:
    """The chroma of a frame of a video that no tint or tone explains, reduced to about `SIDE` pixels."""

    def __init__(self, luma: Plane, chroma: Plane) -> None:
        """Luma [h, w] in [0, 1], chroma [2, h, w]."""
        shade, color, self.shape = reduced(luma, chroma)
        rest = unexplained(shade, color)
        size = np.hypot(rest[:, 0], rest[:, 1])
        if 0.9 < np.mean(size < VIVID) < 1:
            # What is small and vivid must not bend the tone of all the rest.
            rest = unexplained(shade, color, size < VIVID)
            size = np.hypot(rest[:, 0], rest[:, 1])
        # A small area counts no more than its share, however vivid it is.
        self._rest = rest * np.minimum(1, VIVID / np.maximum(size, VIVID))[:, None]

    def own_cells(self, neighbors: Sequence["FrameChroma"]) -> tuple[int, ...]:
        """The cells of `GRID`, counted row by row, whose vivid color all neighbors have at the same place."""
        common = [other for other in (self, *neighbors) if other.shape == self.shape]
        vivid = np.min([(self._rest * other._rest).sum(axis=1) for other in common], axis=0) > OWN**2
        if not vivid.any() or vivid.mean() > OWN_AREA:
            return ()
        mask = vivid.reshape(self.shape).astype(np.float32)
        cells = cv2.resize(mask, GRID[::-1], interpolation=cv2.INTER_AREA)
        return tuple(np.flatnonzero(cells > 0).tolist())

    def strength(self, other: "FrameChroma | None" = None) -> float:
        """Root mean square of the chroma, or of what it has in common with another frame of its shape."""
        product = (self._rest * (self if other is None else other)._rest).sum(axis=1).reshape(self.shape)
        edge = round(EDGE * self.shape[0])
        middle = product[edge : self.shape[0] - edge]
        return float(np.sqrt(max(0.0, min(product.mean(), middle.mean()))))


def unexplained_chroma(luma: Plane, chroma: Plane) -> float:
    """Root mean square of the chroma that no tint or tone explains."""
    shade, color, _ = reduced(luma, chroma)
    return float(np.sqrt(np.square(unexplained(shade, color)).sum(axis=1).mean()))


def reduced(luma: Plane, chroma: Plane) -> tuple[Plane, Plane, tuple[int, int]]:
    """Luma [n] and chroma [n, 2] at about `SIDE` pixels, and the height and width there."""
    scale = min(1.0, SIDE / min(luma.shape))
    size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
    shade, *planes = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).ravel() for plane in (luma, *chroma)
    )
    return shade, np.stack(planes, axis=1), size[::-1]


def unexplained(shade: Plane, color: Plane, used: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """The chroma [n, 2] that no tint or tone explains, along and across the tone's hue.

    `used`: the pixels [n] that show the tone, all if None.
    """
    return Tone.fit(shade, color, used).unexplained(shade, color)


@dataclass(frozen=True)
class Tone:
    """The chroma of a tinted or toned print as a function of its luma."""

    mean: Plane
    """Chroma [2]."""
    curve: Plane | None
    """What is added to it at `SHADES` steps of luma, [SHADES, 2]; None if there is hardly any chroma."""

    @classmethod
    def fit(cls, shade: Plane, color: Plane, used: NDArray[np.bool_] | None = None) -> "Tone":
        """To luma [n] and chroma [n, 2] of the pixels [n] that are used."""
        known = slice(None) if used is None else used
        mean = color[known].mean(axis=0)
        deviation = color - mean
        if float(np.sqrt(np.square(deviation).sum(axis=1).mean())) < NEUTRAL:
            return cls(mean, None)
        return cls(mean, _tone_curve(shade[known], deviation[known]))

    def unexplained(self, shade: Plane, color: Plane) -> NDArray[np.float32]:
        """Of chroma [n, 2] what it does not explain, along and across its hue."""
        rest = color - self.mean
        if self.curve is None:
            return rest
        steps = np.linspace(0, 1, SHADES)
        rest -= np.stack([np.interp(shade, steps, values) for values in self.curve.T], axis=1)
        strength = float(np.linalg.norm(self.mean))
        hue = self.mean / strength if strength > 0 else np.array((1, 0), np.float32)
        along, across = rest @ hue, rest @ np.array((-hue[1], hue[0]))
        return np.stack([along / (1 + strength / TONE), across], axis=1)


def _tone_curve(shade: Plane, chroma: Plane) -> NDArray[np.float32]:
    """The chroma [SHADES, 2] that luma [n] explains: the least-squares fit, piecewise linear in luma."""
    position = np.clip(shade, 0, 1) * (SHADES - 1)
    below = np.minimum(position.astype(np.intp), SHADES - 2)
    basis = np.zeros((shade.size, SHADES), np.float32)
    rows = np.arange(shade.size)
    basis[rows, below + 1] = position - below
    basis[rows, below] = 1 - basis[rows, below + 1]
    # The normal equations take a fifth of the time of `lstsq`. The ridge is for shades that do not occur.
    gram = basis.T @ basis + np.eye(SHADES, dtype=np.float32) * (RIDGE * shade.size)
    return np.asarray(np.linalg.solve(gram, basis.T @ chroma), np.float32)
