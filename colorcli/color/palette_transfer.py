"""A reference's palette, carried over where it fits, as hints to the same network.

After Welsh, Ashikhmin and Mueller, "Transferring color to grayscale images" (2002): places that look alike in
gray have the same color. Both pictures are cut into cells of a few pixels. A cell is described by its tone
and that of its surroundings, its contrast, its texture's strength across and along, whether it is lighter or
darker than what lies beside it, its height in the picture (skies are above), and the color that the network
gives it by itself, for that says what it takes it for: a face or a white wall. Each cell of the picture
looks up the cells of the reference that are most like it, and takes their color if it may be sure of it:
the cells are really alike, they agree on a color, and the cell's neighbors came to the same one. A few in
a hundred such cells are enough, for the network and `spread` fill in what lies between them; where nothing
fits there is no hint, and the network colors by itself.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.condition import Hints
from colorcli.color.pictures import read_picture
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.errors import InputError, UsageError

SIDE = 256
"""Short side at which pictures are compared: the features below are in its pixels."""
CELL = 4
"""Side of a cell in pixels: half the size at which a face still has skin, eyes and lips."""
NEIGHBORS = 8
"""Cells of the reference asked for a color: enough to find out whether they agree."""
ALIKE = 0.11
"""Distance between features within which cells are alike. At 0.13 a seventh more cells of the same scene find
their color, but half as many again of quite another scene take one."""
AGREED = 0.03
"""Mean difference of chroma up to which colors count as one: about the just noticeable difference twice."""
CHUNK = 512
"""Cells looked up at once, to bound memory."""


def read_reference(path: Path) -> Plane:
    """A color picture -> R'G'B' [3, H, W] in [0, 1], as displayed.

    Raises:
        UsageError: it cannot be read, or has no color to give.
    """
    try:
        rgb = read_picture(path)
    except InputError as error:
        raise UsageError(path, error.cause, "check --reference") from error
    if min(rgb.shape[:2]) < CELL or (rgb == rgb[..., :1]).all():
        raise UsageError(path, "has no colors to give", "give a color picture as --reference")
    return rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def reference_hints(reference: Plane, luma: Plane, guess: Callable[[Plane], Plane]) -> Hints:
    """Hints of luma's size, at the places that are sure of a color.

    Args:
        reference: R'G'B' [3, H, W] in [0, 1]; H and W are at least `CELL`.
        luma: [h, w] at the working size.
        guess: the network's own answer to a luma plane [h, w]: chroma [2, h, w].
    """
    if min(luma.shape) < CELL:
        return Hints(np.zeros((2, *luma.shape), np.float32), np.zeros(luma.shape, np.float32))
    small = _reduced(luma)
    tones, colors = ycbcr_from_rgb(np.stack([_reduced(plane) for plane in reference]))
    palette = _at_cells(np.stack([cv2.GaussianBlur(plane, (0, 0), 1) for plane in colors]))
    wanted = _at_cells(_features(small, guess(small)))
    known = _at_cells(_features(_exposed_like(tones, small), guess(tones)))
    found, distance, dispute = _look_up(_rows(wanted), _rows(known), _rows(palette))
    cells = wanted.shape[1:]
    chroma = np.ascontiguousarray(found.T.reshape(2, *cells))
    around = np.stack([cv2.medianBlur(plane, 5) for plane in chroma])
    astray = np.abs(chroma - around).max(axis=0)
    sure = (distance.reshape(cells) < ALIKE) & (dispute.reshape(cells) < AGREED) & (astray < AGREED)
    return _on_cells(around, sure, small.shape, luma.shape)


def _reduced(plane: Plane) -> Plane:
    scale = SIDE / min(plane.shape)
    if scale >= 1:
        return plane
    return cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _exposed_like(luma: Plane, model: Plane) -> Plane:
    """Luma with the mean and, within reason, the contrast of `model`: old prints are pale."""
    gain = np.clip(model.std() / max(float(luma.std()), 1e-3), 0.5, 2)
    return ((luma - luma.mean()) * gain + model.mean()).astype(np.float32)


def _features(luma: Plane, guess: Plane) -> Plane:
    """Luma [h, w], chroma [2, h, w] -> [11, h, w]; the factors make a just visible difference count alike."""
    near, wide, around = (cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in (1.5, 6, 4))
    across, along = (cv2.Sobel(luma, cv2.CV_32F, dx, 1 - dx, scale=0.25) for dx in (1, 0))
    beside = np.zeros((1, 21), np.float32)
    beside[0, [0, 10, 20]] = 0.7, -1.4, 0.7
    height = np.broadcast_to(np.linspace(0, 0.15, len(luma), dtype=np.float32)[:, None], luma.shape)
    return np.stack([
        2 * near,
        1.5 * wide,
        3 * _deviation(luma, 1.5),
        3 * _deviation(luma, 4),
        3 * cv2.GaussianBlur(np.abs(across), (0, 0), 4),
        3 * cv2.GaussianBlur(np.abs(along), (0, 0), 4),
        cv2.filter2D(around, cv2.CV_32F, beside),
        cv2.filter2D(around, cv2.CV_32F, beside.T),
        height,
        *(3 * cv2.GaussianBlur(plane, (0, 0), 3) for plane in guess),
    ])  # fmt: skip


def _deviation(luma: Plane, sigma: float) -> Plane:
    mean, square = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (luma, luma * luma))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _at_cells(planes: Plane) -> Plane:
    """[n, h, w] -> its values at the cells' centers."""
    return planes[:, CELL // 2 :: CELL, CELL // 2 :: CELL]


def _rows(planes: Plane) -> Plane:
    """[n, rows, columns] -> [rows * columns, n]."""
    return planes.reshape(len(planes), -1).T


def _look_up(wanted: Plane, known: Plane, palette: Plane) -> tuple[Plane, Plane, Plane]:
    """The `wanted` [m, d] among the `known` [n, d] features and their colors [n, 2].

    Gives the nearest ones' median color [m, 2], their distance [m] and their difference from the median [m].
    """
    count = min(NEIGHBORS, len(known))
    lengths = np.square(known).sum(axis=1)
    parts = []
    for start in range(0, len(wanted), CHUNK):
        rows = wanted[start : start + CHUNK]
        squares = np.square(rows).sum(axis=1)[:, None] + lengths - 2 * rows @ known.T
        nearest = np.argpartition(squares, count - 1, axis=1)[:, :count]
        distance = np.sqrt(np.maximum(np.take_along_axis(squares, nearest, axis=1), 0).mean(axis=1))
        colors = palette[nearest]
        median = np.median(colors, axis=1)
        parts.append((median, distance, np.abs(colors - median[:, None]).mean(axis=(1, 2))))
    found, distances, disputes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, distances, disputes


def _on_cells(
    chroma: Plane, sure: NDArray[np.bool_], compared: tuple[int, ...], shape: tuple[int, ...]
) -> Hints:
    """Cells' colors as hints of `shape`: one pixel in the middle of each sure cell."""
    planes = np.zeros((3, *compared), np.float32)
    planes[:, CELL // 2 :: CELL, CELL // 2 :: CELL] = [*chroma, sure]
    size = (shape[1], shape[0])
    cb, cr, mask = (cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST) for plane in planes)
    return Hints(np.stack([cb, cr]), mask)
