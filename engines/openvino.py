"""OpenVINO: runs the same ONNX files on the CPU; `doctor` measures which of the two runtimes is faster."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from colorcli.engines.base import Engine, Tensors, TensorSpec
from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import SetupError


class OpenvinoEngine(Engine):
    """An ONNX file compiled by OpenVINO for the CPU."""

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an ONNX file.

        Raises:
            SetupError: the file is not a readable ONNX model, or the device is not available.
        """
        if Device.parse(device).kind not in ("auto", "cpu", "openvino"):
            raise SetupError(device, "OpenVINO runs models on the CPU only", "use --device cpu")
        core = ov.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            cause = "OpenVINO cannot read it"
            raise SetupError(path, cause, "export it with `colorcli export`") from error
        settings = {
            # By default OpenVINO computes in bfloat16 where the CPU can, a code value or two off.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads or cpu_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self.metadata = _metadata(model)
        self.inputs = tuple(map(_spec, model.inputs))
        self.outputs = tuple(map(_spec, model.outputs))
        self.device = "cpu"

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        values = self._request.infer(dict(tensors))
        # Copies, because the next run overwrites what this one returned.
        return {spec.name: np.array(values[spec.name]) for spec in self.outputs}


def _metadata(model: Any) -> dict[str, str]:
    """The ONNX `metadata_props`, which OpenVINO's reader keeps under `framework`."""
    if not model.has_rt_info(["framework"]):
        return {}
    return {name: str(value) for name, value in model.get_rt_info(["framework"]).value.items()}


def _spec(port: Any) -> TensorSpec:
    """Read an `openvino.Output`, an input or output of a model."""
    shape = tuple(None if length.is_dynamic else length.get_length() for length in port.partial_shape)
    return TensorSpec(port.any_name, shape, port.element_type.to_dtype().name)
