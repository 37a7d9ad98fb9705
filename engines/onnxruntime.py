"""ONNX Runtime: the default engine on any CPU; with `onnxruntime-gpu` also on CUDA and TensorRT."""

import os
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.engines.base import Engine, Tensors, TensorSpec
from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import SetupError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
DTYPES = {"float": "float32", "double": "float64"}
"""ONNX Runtime's names of types that NumPy calls otherwise."""


class OnnxEngine(Engine):
    """An ONNX file in an ONNX Runtime session."""

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an ONNX file.

        Raises:
            SetupError: the file is not a readable ONNX model, or the device is not available.
        """
        requested = Device.parse(device)
        provider = _provider(requested)
        options = ort.SessionOptions()
        options.log_severity_level = 3  # published exports cause warnings that no user can do anything about
        options.intra_op_num_threads = threads or cpu_threads()
        # Picture sizes vary: a memory pattern for each shape costs memory and gains no time.
        options.enable_mem_pattern = False
        # Threads that wait for work must sleep: decoder, optical flow and encoder need the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = [(provider, _settings(provider, requested.index))]
        try:
            session = ort.InferenceSession(str(path), options, providers)
        except Exception as error:  # onnxruntime's own exceptions share no base class but this
            raise SetupError(path, f"not a readable ONNX model ({error})", "export it again") from error
        if session.get_providers()[0] != provider:
            # ONNX Runtime falls back to the CPU with only a warning; a user who chose a GPU must know.
            if requested.kind != "auto":
                raise SetupError(device, f"{provider} does not start", "check the driver, or --device cpu")
            provider = CPU
        self._session = session
        self.metadata = session.get_modelmeta().custom_metadata_map
        self.inputs = tuple(map(_spec, session.get_inputs()))
        self.outputs = tuple(map(_spec, session.get_outputs()))
        self._output_names = [spec.name for spec in self.outputs]
        self.device = "cpu" if provider == CPU else f"cuda:{requested.index}"

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        values = self._session.run(self._output_names, dict(tensors))
        return dict(zip(self._output_names, values, strict=True))


def _spec(tensor: Any) -> TensorSpec:
    """Read an `onnxruntime.NodeArg`, whose type reads `tensor(float)` and whose free dimensions are names."""
    dtype = tensor.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    return TensorSpec(tensor.name, shape, DTYPES.get(dtype, dtype))


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
            "cudnn_conv_algo_search": "HEURISTIC",  # the exhaustive search would run again for every size
            "use_tf32": "0",  # compute in float32 as the file says, not rounded to 10 bits
        }
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "colorcli" / "tensorrt"
    cache.mkdir(parents=True, exist_ok=True)
    return {
        "device_id": str(index),
        "trt_engine_cache_enable": "1",  # building an engine takes minutes
        "trt_engine_cache_path": str(cache),
    }
