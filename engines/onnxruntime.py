"""ONNX Runtime: the default backend on any CPU; with `onnxruntime-gpu` also CUDA and TensorRT."""

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.engines.base import Engine
from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import SetupError
from colorcli.models.card import CARD_KEY, ModelCard

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


class OnnxEngine(Engine):
    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an exported generator.

        Raises:
            SetupError: the file is no exported generator, or the device is not to be had.
        """
        asked = Device.parse(device)
        provider = _provider(asked)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or cpu_threads()
        # Films differ in size: planning memory for each shape holds more of it and gains no time.
        options.enable_mem_pattern = False
        # Threads that wait for work must sleep: decoder, optical flow and encoder want the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(str(path), options, [(provider, _settings(provider, asked.index))])
            self.card = ModelCard.from_json(session.get_modelmeta().custom_metadata_map[CARD_KEY])
        except (KeyError, ValueError) as error:
            raise SetupError(path, "no model card inside", "export it with `colorcli export`") from error
        except Exception as error:  # onnxruntime's own exceptions share no base class but this
            raise SetupError(path, f"not a readable ONNX model ({error})", "export it again") from error
        if session.get_providers()[0] != provider:
            # It falls back to the CPU with no more than a warning; whoever asked for a GPU wants to know.
            if asked.kind != "auto":
                raise SetupError(device, f"{provider} does not start", "check the driver, or --device cpu")
            provider = CPU
        self._session = session
        self.device = "cpu" if provider == CPU else f"cuda:{asked.index}"

    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        chroma: NDArray[np.float32]
        (chroma,) = self._session.run(None, {"condition": condition})
        return chroma


def _provider(device: Device) -> str:
    available = ort.get_available_providers()
    fastest = CUDA if CUDA in available else CPU
    providers = {"auto": fastest, "cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
    wanted = providers.get(device.kind, str(device))
    if wanted not in available:
        remedy = "install onnxruntime-gpu in place of onnxruntime, or use --device cpu"
        raise SetupError(str(device), f"this ONNX Runtime has no {wanted}", remedy)
    return wanted


def _settings(provider: str, index: int) -> dict[str, str]:
    if provider == CPU:
        return {}
    if provider == CUDA:
        return {
            "device_id": str(index),
            "cudnn_conv_algo_search": "HEURISTIC",  # the exhaustive one would run anew for every size
            "use_tf32": "0",  # float32 as the file says, not rounded to 10 bits
        }
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "colorcli" / "tensorrt"
    cache.mkdir(parents=True, exist_ok=True)
    return {
        "device_id": str(index),
        "trt_engine_cache_enable": "1",  # a plan takes minutes to build
        "trt_engine_cache_path": str(cache),
    }
