"""Palette transfer: hints from a color reference picture, where parts of the two pictures look alike.

After Welsh, Ashikhmin and Mueller, "Transferring color to grayscale images" (2002): parts that look alike in
gray take the same color. Both pictures are divided into cells of a few pixels. The features of a cell are
its brightness and that of its surroundings, its contrast, the strength of horizontal and vertical texture,
the difference in brightness to both sides, its height in the picture (skies are above), and the color that
the network predicts without hints, which tells a face from a white wall. Each cell of the picture looks up
the most similar cells of the reference and takes their color if three conditions hold: the features are
close, the cells found agree on a color, and neighboring cells found the same one. A few such cells in a
hundred are enough, because the network and `propagation` fill in the rest; where no cell is similar there is
no hint, and the network's own color stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.condition import Hints
from colorcli.color.pictures import read_picture
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.errors import InputError, UsageError

SIDE = 256
"""Short side in pixels at which pictures are compared; the filters below are sized for it."""
CELL = 4
"""Side of a cell in pixels: half the size at which a face still has skin, eyes and lips."""
NEIGHBORS = 8
"""Cells of the reference looked up for one cell: enough to see whether they agree on a color."""
MAX_DISTANCE = 0.11
"""Distance between features up to which cells are alike. At 0.13 a seventh more cells of the same scene find
their color, but half as many again of a quite different scene take one."""
MAX_DISAGREEMENT = 0.03
"""Mean difference of chroma up to which colors agree: about twice the just noticeable difference."""
CHUNK = 512
"""Cells looked up at once, to bound memory."""


@dataclass(frozen=True)
class Reference:
    """A reference picture reduced to the size of comparison."""

    luma: Plane
    """[h, w] in [0, 1]."""
    palette: Plane
    """Chroma at the center of every cell, [2, rows, columns] in [-0.5, 0.5]."""

    @classmethod
    def of(cls, rgb: Plane) -> "Reference":
        """R'G'B' [3, H, W] in [0, 1]; H and W are at least `CELL`."""
        luma, chroma = ycbcr_from_rgb(np.stack([_reduced(plane) for plane in rgb]))
        return cls(luma, _at_cells(np.stack([cv2.GaussianBlur(plane, (0, 0), 1) for plane in chroma])))


def read_reference(path: Path) -> Plane:
    """Read a color picture: R'G'B' [3, H, W] in [0, 1], as displayed.

    Raises:
        UsageError: it cannot be read, or has no colors.
    """
    try:
        rgb = read_picture(path)
    except InputError as error:
        raise UsageError(path, error.cause, "check --reference") from error
    if min(rgb.shape[:2]) < CELL or (rgb == rgb[..., :1]).all():
        raise UsageError(path, "has no colors", "give a color picture as --reference")
    return rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def transfer_palette(
    reference: Reference, predicted: Plane, luma: Plane, predict: Callable[[Plane], Plane]
) -> Hints:
    """Find hints for a picture in a reference.

    Args:
        predicted: the network's chroma for `reference.luma`, without hints.
        luma: [h, w] in [0, 1], at the working size.
        predict: gives the network's chroma [2, h, w] for a luma plane [h, w], without hints.

    Returns:
        Hints of the shape of `luma`: one pixel in the middle of each cell that found a color.
    """
    if min(luma.shape) < CELL:
        return Hints(np.zeros((2, *luma.shape), np.float32), np.zeros(luma.shape, np.float32))
    small = _reduced(luma)
    wanted = _at_cells(_features(small, predict(small)))
    known = _at_cells(_features(_match_exposure(reference.luma, small), predicted))
    found, distance, disagreement = _look_up(_rows(wanted), _rows(known), _rows(reference.palette))
    cells = wanted.shape[1:]
    chroma = np.ascontiguousarray(found.T.reshape(2, *cells))
    median = np.stack([cv2.medianBlur(plane, 5) for plane in chroma])
    deviation = np.abs(chroma - median).max(axis=0)
    close, agreed = distance.reshape(cells) < MAX_DISTANCE, disagreement.reshape(cells) < MAX_DISAGREEMENT
    return _cells_to_hints(median, close & agreed & (deviation < MAX_DISAGREEMENT), small.shape, luma.shape)


def _reduced(plane: Plane) -> Plane:
    """A plane [H, W] with a short side of `SIDE` pixels, or as it is where that is smaller."""
    scale = SIDE / min(plane.shape)
    if scale >= 1:
        return plane
    return cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _match_exposure(luma: Plane, target: Plane) -> Plane:
    """Luma with the mean of `target` and, up to a factor of 2, its contrast: old prints are pale."""
    gain = np.clip(target.std() / max(float(luma.std()), 1e-3), 0.5, 2)
    return ((luma - luma.mean()) * gain + target.mean()).astype(np.float32)


def _features(luma: Plane, predicted: Plane) -> Plane:
    """Luma [h, w], chroma [2, h, w] -> [11, h, w], in units of about equal visibility."""
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
        *(3 * cv2.GaussianBlur(plane, (0, 0), 3) for plane in predicted),
    ])  # fmt: skip


def _deviation(luma: Plane, sigma: float) -> Plane:
    """Standard deviation of luma within a Gaussian window."""
    mean, square = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (luma, luma * luma))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _at_cells(planes: Plane) -> Plane:
    """[n, h, w] -> the values at the centers of the cells, [n, rows, columns]."""
    return planes[:, CELL // 2 :: CELL, CELL // 2 :: CELL]


def _rows(planes: Plane) -> Plane:
    """[n, rows, columns] -> [rows * columns, n]."""
    return planes.reshape(len(planes), -1).T


def _look_up(wanted: Plane, known: Plane, palette: Plane) -> tuple[Plane, Plane, Plane]:
    """Find the nearest of features `known` [n, d] with colors `palette` [n, 2] to each of `wanted` [m, d].

    Returns:
        The median color [m, 2] of the nearest ones, their root mean square distance [m], and the mean
        difference of their colors from the median [m].
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
    found, distances, disagreements = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, distances, disagreements


def _cells_to_hints(
    chroma: Plane, known: NDArray[np.bool_], compared: tuple[int, ...], shape: tuple[int, ...]
) -> Hints:
    """Chroma [2, rows, columns] of the known cells, cut at the shape `compared`, as hints of `shape`."""
    planes = np.zeros((3, *compared), np.float32)
    planes[:, CELL // 2 :: CELL, CELL // 2 :: CELL] = [*chroma, known]
    size = (shape[1], shape[0])
    cb, cr, mask = (cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST) for plane in planes)
    return Hints(np.stack([cb, cr]), mask)
