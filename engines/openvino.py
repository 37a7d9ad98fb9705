"""OpenVINO: runs the same ONNX files on the CPU; whether faster than ONNX Runtime, `doctor` measures."""

from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from colorcli.engines.base import Engine
from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import SetupError
from colorcli.models.card import CARD_KEY, ModelCard


class OpenvinoEngine(Engine):
    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an exported generator.

        Raises:
            SetupError: the file is no exported generator, or the device is not to be had.
        """
        if Device.parse(device).kind not in ("auto", "cpu", "openvino"):
            raise SetupError(device, "OpenVINO runs generators on the CPU only", "use --device cpu")
        core = ov.Core()
        try:
            model = core.read_model(path)
            self.card = ModelCard.from_json(model.get_rt_info(["framework", CARD_KEY]).astype(str))
        except (RuntimeError, ValueError) as error:
            raise SetupError(path, "not an exported generator", "export it with `colorcli export`") from error
        settings = {
            # Left alone, OpenVINO computes in bfloat16 where the CPU can, a code value or two off.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads or cpu_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self.device = "cpu"

    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        # A copy, for the next call writes over what this one returned.
        return np.array(self._request.infer({"condition": condition})["chroma"], np.float32)
