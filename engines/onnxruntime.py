"""ONNX Runtime: the default backend, on any CPU."""

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.core.card import CARD_KEY, ModelCard
from colorcli.core.errors import SetupError
from colorcli.engines.base import Engine


class OnnxEngine(Engine):
    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an exported generator.

        Raises:
            SetupError: the file is no exported generator, or the device is not to be had.
        """
        if device not in ("auto", "cpu"):
            raise SetupError(device, "this ONNX Runtime runs on the CPU only", "use --device cpu")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        try:
            self._session = ort.InferenceSession(str(path), options, ["CPUExecutionProvider"])
            self.card = ModelCard.from_json(self._session.get_modelmeta().custom_metadata_map[CARD_KEY])
        except (KeyError, ValueError) as error:
            raise SetupError(path, "no model card inside", "export it with `colorcli export`") from error
        except Exception as error:  # onnxruntime's own exceptions share no base class but this
            raise SetupError(path, f"not a readable ONNX model ({error})", "export it again") from error
        self.device = "cpu"

    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        chroma: NDArray[np.float32]
        (chroma,) = self._session.run(None, {"condition": condition})
        return chroma
