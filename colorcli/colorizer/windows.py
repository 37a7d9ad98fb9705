"""Panoramas: what is many times as long as high is predicted in overlapping windows, to bound memory."""

from collections.abc import Callable, Iterator

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane

PIXELS = 1 << 20
"""Of a window; the included network needs some 240 bytes for each."""
LEAST_ASPECT = 4
"""Long to short side of the shortest window."""


def predict_in_windows(
    predict: Callable[[Plane, Hints | None], Plane], luma: Plane, hints: Hints | None
) -> Plane:
    """Chroma [2, h, w] for luma [h, w]; windows overlap by their short side and are blended there."""
    if luma.shape[0] > luma.shape[1]:
        turned = hints and Hints(hints.chroma.swapaxes(1, 2), hints.mask.T)

        def turned_back(part: Plane, known: Hints | None) -> Plane:
            known = known and Hints(_contiguous(known.chroma.swapaxes(1, 2)), _contiguous(known.mask.T))
            return predict(_contiguous(part.T), known).swapaxes(1, 2)

        return _contiguous(_joined(turned_back, luma.T, turned).swapaxes(1, 2))
    return _joined(predict, luma, hints)


def is_panorama(luma: Plane) -> bool:
    """Whether windows are needed."""
    return max(luma.shape) > _length(luma)


def _length(luma: Plane) -> int:
    """The long side of a window."""
    short = min(luma.shape)
    return max(LEAST_ASPECT * short, PIXELS // short)


def _joined(predict: Callable[[Plane, Hints | None], Plane], luma: Plane, hints: Hints | None) -> Plane:
    result = np.zeros((2, *luma.shape), np.float32)
    end = 0
    for window in _windows(luma.shape[1], _length(luma), min(luma.shape)):
        known = hints and Hints(_contiguous(hints.chroma[:, :, window]), _contiguous(hints.mask[:, window]))
        part = predict(_contiguous(luma[:, window]), known)
        shared = end - window.start
        rising = (np.arange(shared, dtype=np.float32) + 1) / np.float32(shared + 1)
        result[:, :, window.start : end] *= 1 - rising
        result[:, :, window.start : end] += part[:, :, :shared] * rising
        result[:, :, end : window.stop] = part[:, :, shared:]
        end = window.stop
    return result


def _windows(width: int, length: int, overlap: int) -> Iterator[slice]:
    """Columns of equally spaced windows."""
    count = -(-(width - overlap) // (length - overlap))
    for index in range(count):
        start = (width - length) * index // max(1, count - 1)
        yield slice(start, min(width, start + length))


def _contiguous(plane: Plane) -> Plane:
    return np.ascontiguousarray(plane)
