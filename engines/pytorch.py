"""PyTorch: runs generator checkpoints as training leaves them, on the CPU or on CUDA."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from colorcli.engines.base import Engine, Tensors, TensorSpec, device_errors
from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import SetupError
from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.checkpoint import load_generator

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class TorchEngine(Engine):
    """A generator checkpoint, under the tensor names of its export to ONNX."""

    inputs = (TensorSpec("condition", (None, 4, None, None), "float32"),)
    outputs = (TensorSpec("chroma", (None, 2, None, None), "float32"),)

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open `generator.safetensors`; on CUDA it computes in float16.

        Raises:
            InputError: the file is not a generator checkpoint.
            SetupError: the device is not available.
        """
        chosen = available(Device.parse(device))
        generator, card = load_generator(path)
        fold_batch_norm(generator)
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.metadata = card.to_metadata()
        self.device = str(chosen)
        if chosen.kind == "cuda":
            from colorcli.engines.pytorch_cuda import GraphRunner

            self._runner: Runner = GraphRunner(generator, torch.device(self.device))
        else:
            torch.set_num_threads(threads or cpu_threads())
            self._runner = partial(_run_on_cpu, generator)

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        with device_errors(self.device), torch.inference_mode():
            return {"chroma": self._runner(tensors["condition"])}


def _run_on_cpu(generator: nn.Module, condition: NDArray[np.float32]) -> NDArray[np.float32]:
    batch = torch.from_numpy(np.ascontiguousarray(condition))  # torch does not support negative strides
    chroma: NDArray[np.float32] = generator(batch.to(memory_format=torch.channels_last)).contiguous().numpy()
    return chroma


def available(device: Device) -> Device:
    """The device on which PyTorch computes.

    Raises:
        SetupError: PyTorch has no such device.
    """
    if device.kind == "auto":
        return Device("cuda" if torch.cuda.is_available() else "cpu")
    if device.kind in ("openvino", "tensorrt"):
        remedy = "export an .onnx file, or use --device cpu or cuda"
        raise SetupError(str(device), "does not run checkpoints", remedy)
    if device.kind == "cuda" and device.index >= torch.cuda.device_count():
        cause = f"PyTorch finds {torch.cuda.device_count()} GPUs"
        raise SetupError(str(device), cause, "check the driver, install torch for CUDA, or use --device cpu")
    return device
