"""PyTorch: runs a training run's checkpoint as it is, on the CPU or on CUDA."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorcli.core.errors import SetupError
from colorcli.engines.base import Engine
from colorcli.train.checkpoint import load_generator


class TorchEngine(Engine):
    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open `generator.safetensors`.

        Raises:
            InputError: not a generator's checkpoint.
            SetupError: the device is not to be had.
        """
        if device not in ("auto", "cpu"):
            raise SetupError(device, "this PyTorch runs on the CPU only", "use --device cpu")
        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        generator, self.card = load_generator(path)
        fold_batch_norm(generator)
        self._generator = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = "cpu"

    @torch.inference_mode()
    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = torch.from_numpy(condition).to(memory_format=torch.channels_last)
        chroma: NDArray[np.float32] = self._generator(batch).contiguous().numpy()
        return chroma


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
