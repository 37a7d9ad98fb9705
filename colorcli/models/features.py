"""What a picture shows, cell by cell: features of the included generator's encoder.

The included generator describes pictures whichever model colorizes them: adopted models and compiled engines
give no inner tensors, and what matches must not depend on the model or the device.
"""

from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.color.condition import condition
from colorcli.color.ycbcr import Plane
from colorcli.engines.onnx_graph import cut_before
from colorcli.options import DEFAULT_MODEL

CELL = 8
"""Pixels to a side of a cell."""
CHANNELS = 32 + 96
"""Of the encoder's strides 8 and 16."""
SHORT_SIDE = 256
"""Of the picture that is described, at most; the generator was trained at this size."""
_STRIDE_8, _STRIDE_16 = (f"generator.encoder.blocks.{block}.expand.weight" for block in (6, 13))
"""Weights of the layers that the features enter."""
_MULTIPLE = 32

Features = NDArray[np.float32]
"""[rows, columns, CHANNELS]: a vector of length 1 for each cell; their dot product is how alike two are."""


class FeatureExtractor:
    """Computes features, on one core of the CPU. Not safe for use from two threads at once."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # it would warn of the weights that the cut leaves unused
        model = cut_before(DEFAULT_MODEL.read_bytes(), [_STRIDE_8, _STRIDE_16])
        self._session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])

    def __call__(self, luma: Plane) -> tuple[Features, Plane]:
        """The features of luma [h, w] in [0, 1], and its mean [rows, columns] in each cell."""
        scale = min(1.0, SHORT_SIDE / min(luma.shape))
        rows, columns = (max(1, round(side * scale / CELL)) for side in luma.shape)
        height, width = rows * CELL, columns * CELL
        small = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
        padding = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE))
        padded = np.pad(small, padding, mode="edge")
        fine, coarse = self._session.run(None, {"condition": condition(padded)[None]})
        cells = padded.shape[1] // CELL, padded.shape[0] // CELL
        enlarged = cv2.resize(np.moveaxis(coarse[0], 0, -1), cells, interpolation=cv2.INTER_LINEAR)
        parts = [part[:rows, :columns] for part in (np.moveaxis(fine[0], 0, -1), enlarged)]
        features = np.concatenate([_unit(part) for part in parts], axis=-1) * np.float32(0.5**0.5)
        return features, cv2.resize(small, (columns, rows), interpolation=cv2.INTER_AREA)


def _unit(features: NDArray[Any]) -> Features:
    """Vectors of length 1 without what all cells have in common."""
    centered = features - features.mean(axis=(0, 1))
    length = np.linalg.norm(centered, axis=-1, keepdims=True)
    return np.divide(centered, np.maximum(length, 1e-6), dtype=np.float32)
