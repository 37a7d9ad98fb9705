"""PyTorch: runs a training run's checkpoint as it is, on the CPU or on CUDA."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorcli.engines.base import Engine
from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import SetupError
from colorcli.networks.checkpoint import load_generator

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class TorchEngine(Engine):
    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open `generator.safetensors`; on CUDA it computes in float16.

        Raises:
            InputError: not a generator's checkpoint.
            SetupError: the device is not to be had.
        """
        asked = _available(Device.parse(device))
        generator, self.card = load_generator(path)
        fold_batch_norm(generator)
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = str(asked)
        if asked.kind == "cuda":
            from colorcli.engines.pytorch_cuda import GraphRunner

            self._run: Runner = GraphRunner(generator, torch.device(self.device))
        else:
            torch.set_num_threads(threads or cpu_threads())
            self._run = partial(_run_on_cpu, generator)

    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._run(condition)


def _run_on_cpu(generator: nn.Module, condition: NDArray[np.float32]) -> NDArray[np.float32]:
    batch = torch.from_numpy(np.ascontiguousarray(condition))  # torch knows no negative strides
    chroma: NDArray[np.float32] = generator(batch.to(memory_format=torch.channels_last)).contiguous().numpy()
    return chroma


def _available(device: Device) -> Device:
    if device.kind == "auto":
        return Device("cuda" if torch.cuda.is_available() else "cpu")
    if device.kind in ("openvino", "tensorrt"):
        raise SetupError(
            str(device), "it does not run checkpoints", "export an .onnx, or use --device cpu or cuda"
        )
    if device.kind == "cuda" and device.index >= torch.cuda.device_count():
        cause = f"PyTorch finds {torch.cuda.device_count()} GPUs"
        raise SetupError(str(device), cause, "check the driver, install torch for CUDA, or use --device cpu")
    return device


def fold_batch_norm(generator: nn.Module) -> None:
    """Fold every batch norm that follows a convolution into that convolution's weights, in place.

    In eval mode the result is the same up to rounding, for less work.
    """
    for parent in list(generator.modules()):
        for (before, convolution), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transpose = isinstance(convolution, nn.ConvTranspose2d)
                setattr(parent, before, fuse_conv_bn_eval(convolution, norm, transpose))
                setattr(parent, name, nn.Identity())
