"""Spandrel: runs DDColor checkpoints in PyTorch, as their authors publish them."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import spandrel
import spandrel_extra_arches
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from colorcli.engines.base import Engine, Tensors, TensorSpec, device_errors
from colorcli.engines.device import Device, cpu_threads
from colorcli.engines.pytorch import available
from colorcli.errors import SetupError

ARCHITECTURE = "DDColor"
spandrel_extra_arches.install(ignore_duplicates=True)  # DDColor is among them


class SpandrelEngine(Engine):
    """DDColor's network itself, without the host code that Spandrel puts around it: R'G'B' in, a* and b* out.

    Spandrel finds the sizes of the network in the weights. Only tensors are unpickled, so a `.pth` file
    cannot run code.
    """

    inputs = (TensorSpec("input", (1, 3, None, None), "float32"),)
    outputs = (TensorSpec("output", (1, 2, None, None), "float32"),)
    metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open `.pth`, `.pt` or `.safetensors`.

        Raises:
            SetupError: the file is not a DDColor checkpoint, or the device is not available.
        """
        chosen = available(Device.parse(device))
        network = _load(path)
        self.device = str(chosen)
        if chosen.kind == "cpu":
            torch.set_num_threads(threads or cpu_threads())
        self._network = network.to(self.device).eval()

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        with device_errors(self.device), torch.inference_mode():
            source = torch.from_numpy(np.ascontiguousarray(tensors["input"])).to(self.device)
            return {"output": self._network(source).cpu().numpy()}


def _load(path: Path) -> torch.nn.Module:
    remedy = f"give a checkpoint of {ARCHITECTURE}, or an .onnx file"
    try:
        weights = spandrel.canonicalize_state_dict(_weights(path))
        found = spandrel.ModelLoader().load_from_state_dict(weights)
    except spandrel.UnsupportedModelError as error:
        raise SetupError(path, "no checkpoint of a network that Spandrel knows", remedy) from error
    except Exception as error:  # Spandrel, PyTorch and pickle raise what they like on damaged files
        raise SetupError(path, f"not a readable checkpoint ({_line(error)})", remedy) from error
    if found.architecture.id != ARCHITECTURE:
        raise SetupError(path, f"a checkpoint of {found.architecture.name}, not of a colorizer", remedy)
    return found.model


def _weights(path: Path) -> dict[str, Any]:
    if path.suffix.lower() == ".safetensors":
        return load_file(path)
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
