"""A plane of samples as a gray JPEG, and as the 8x8 blocks of one."""

import io
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorcli.images.codecs.damage import DamagedError

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PEAK = 255
GRAY = 128
BLOCK = 8
MOSAIC = 256
"""Blocks side by side in a picture that is composed of blocks."""


def encode_plane(plane: Bytes, steps: list[int], progressive: bool) -> bytes:
    """A plane [h, w] as a gray JPEG with these quantization steps (64, row by row)."""
    target = io.BytesIO()
    Image.fromarray(plane).save(target, "JPEG", qtables=[steps], progressive=progressive)
    return target.getvalue()


def decoded_gray(data: bytes) -> Bytes:
    """A JPEG's luma as stored; raises DamagedError if it cannot be decoded."""
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise DamagedError("it cannot be decoded")
    return pixels


def round_trip(blocks: Bytes, steps: list[int]) -> Bytes:
    """Blocks [..., 8, 8] as decoded from a JPEG with these steps.

    In a JPEG of one plane a block decodes to the same samples at any position.
    """
    eights = np.ascontiguousarray(blocks).view(np.uint64).reshape(-1, BLOCK)
    count = len(eights)
    rows = -(-count // MOSAIC)
    columns = -(-count // rows)
    padded = np.zeros((rows * columns, BLOCK), np.uint64)
    padded[:count] = eights
    mosaic = np.ascontiguousarray(padded.reshape(rows, columns, BLOCK).swapaxes(1, 2))
    mosaic = mosaic.reshape(rows * BLOCK, columns)
    decoded = decoded_gray(encode_plane(mosaic.view(np.uint8), steps, progressive=False))
    result = np.ascontiguousarray(_eights(decoded).swapaxes(1, 2)).reshape(-1, BLOCK)[:count]
    return result.view(np.uint8).reshape(blocks.shape)


def blocks_at(planes: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    """Blocks [n, ..., 8, 8] of planes [..., h, w]."""
    *outer, _, _ = planes.shape
    if not any(planes.strides):  # one value everywhere
        return np.broadcast_to(planes[(0,) * planes.ndim], (len(rows), *outer, BLOCK, BLOCK))
    numbers = _eights_of(planes.shape, rows, columns)
    return planes.reshape(-1, BLOCK).take(numbers, axis=0).reshape(len(rows), *outer, BLOCK, BLOCK)


def write_blocks(
    planes: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp], blocks: NDArray[Any]
) -> None:
    """Put blocks [n, ..., 8, 8] into planes [..., h, w], whose last axis is contiguous."""
    eights = planes.view()
    numbers = _eights_of(planes.shape, rows, columns)
    eights.shape = (-1, BLOCK)
    eights[numbers] = blocks.reshape(*numbers.shape, BLOCK)


def _eights_of(shape: tuple[int, ...], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """The numbers of the rows of 8 samples [n, planes, 8] of which blocks of planes [..., h, w] consist.

    Copying them by their numbers is several times as fast as indexing by axes.
    """
    *outer, height, width = shape
    across = width // BLOCK
    first = np.arange(math.prod(outer)) * (height * across)
    return (rows * (BLOCK * across) + columns)[:, None, None] + first[:, None] + np.arange(BLOCK) * across


def padded_to(planes: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Planes [..., h, w] padded to multiples of `rows` and `columns` with the last ones, as encoders do."""
    below, right = -planes.shape[-2] % rows, -planes.shape[-1] % columns
    if not (below or right):
        return planes
    if planes.ndim > 2:
        return np.stack([padded_to(plane, rows, columns) for plane in planes])
    plane = np.ascontiguousarray(planes)
    plane = plane.view(np.uint8) if plane.dtype == bool else plane  # OpenCV knows no bool
    return cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE).view(planes.dtype)


def blocks_with(samples: Mask) -> Mask:
    """Which blocks [rows, columns] contain any of the samples [h, w]."""
    return np.asarray(_eights(np.ascontiguousarray(samples)).any(axis=1))


def _eights(planes: NDArray[Any]) -> NDArray[np.uint64]:
    """A view [..., rows of blocks, 8, columns of blocks] of bytes [..., h, w]: eight in a row are one."""
    *outer, height, width = planes.shape
    return planes.view(np.uint64).reshape(*outer, height // BLOCK, BLOCK, width // BLOCK)
