"""Execution providers for ONNX Runtime that are packages of their own: WebGPU, and TensorRT for RTX cards."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import onnxruntime as ort

from colorcli.errors import SetupError, install_command


@dataclass(frozen=True)
class Plugin:
    """A package with one execution provider."""

    device: str
    """Name of the device that it makes usable, and of the extra that brings it."""
    module: str
    needs: str
    """What it needs of the system, for who sees it fail."""

    @property
    def install(self) -> str:
        """Command that installs it."""
        return install_command(self.device)

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None

    def devices(self) -> Sequence[Any]:
        """The `onnxruntime.OrtEpDevice`s that it can use.

        Raises:
            SetupError: it is not installed, or does not load.
        """
        if not self.is_installed:
            raise SetupError(self.device, f"{self.module} is not installed", self.install)
        return _devices(self)


_ALL = (
    Plugin(
        "webgpu",
        "onnxruntime_ep_webgpu",
        "a graphics driver, and on Linux the Vulkan loader (libvulkan1)",
    ),
    Plugin(
        "rtx",
        "onnxruntime_ep_nv_tensorrt_rtx",
        "NVIDIA's driver for a card of the RTX 30, 40 or 50 series",
    ),
)
PLUGINS = {plugin.device: plugin for plugin in _ALL}


@cache
def _devices(plugin: Plugin) -> Sequence[Any]:
    """Register the plugin, which ONNX Runtime allows once in a process, and list its devices."""
    package = import_module(plugin.module)
    name = package.get_ep_name()
    try:
        ort.register_execution_provider_library(name, package.get_library_path())
    except Exception as error:  # onnxruntime's own exceptions share no base class but this
        cause = f"{plugin.module} does not load ({error})"
        raise SetupError(plugin.device, cause, f"it needs {plugin.needs}") from error
    return [device for device in ort.get_ep_devices() if device.ep_name == name]
