"""The GPUs of this machine, what runs on them now, and the one command that makes them usable."""

import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_core

from colorcli.engines.device import Device
from colorcli.engines.plugins import PLUGINS
from colorcli.engines.vulkan import Adapter, adapters
from colorcli.errors import SetupError

VENDORS = {0x1002: "AMD", 0x10DE: "NVIDIA", 0x106B: "Apple", 0x8086: "Intel"}
"""By PCI number, for GPUs whose name no driver tells."""
NVIDIA = 0x10DE
RTX_CAPABILITIES = ("8.6", "8.9", "12.")
"""Beginnings of the compute capabilities that TensorRT for RTX is for: RTX 30, 40 and 50."""
APPLE = 0x106B
CUDA, COREML = "CUDAExecutionProvider", "CoreMLExecutionProvider"


@dataclass(frozen=True)
class Gpu:
    """A GPU that ONNX Runtime finds in this machine."""

    name: str
    vendor: int
    """PCI number."""
    device: int
    """PCI number."""
    capability: str
    """NVIDIA's compute capability such as `8.9`; empty for others, or without a driver."""
    driver: str
    """Version of NVIDIA's driver; empty for others, or without a driver."""
    install: str
    """The command that lets colorcli use it."""


def find_gpus() -> list[Gpu]:
    """Every GPU, in ONNX Runtime's order, software adapters not among them."""
    names = {(each.vendor, each.device): each.name for each in _adapters()}
    nvidia = iter(_nvidia_cards())
    found = []
    for hardware in _hardware_gpus():
        vendor, device = hardware.vendor_id, hardware.device_id
        name, capability, driver = next(nvidia, ("", "", "")) if vendor == NVIDIA else ("", "", "")
        name = name or names.get((vendor, device)) or f"{VENDORS.get(vendor, vendor)} GPU {device:04x}"
        found.append(Gpu(name, vendor, device, capability, driver, _install(vendor, capability)))
    return found


def candidates() -> Iterator[Device]:
    """The devices worth measuring against the CPU, likely the fastest first; none in software."""
    vendors = {hardware.vendor_id for hardware in _hardware_gpus()}
    if NVIDIA in vendors and _usable("rtx"):
        yield Device("rtx")
    if CUDA in ort.get_available_providers():
        yield Device("cuda")
    if vendors and _usable("webgpu") and not _only_software():  # loading a plugin in vain takes time
        yield Device("webgpu")
    if COREML in ort.get_available_providers():
        yield Device("coreml")


def has_gpu() -> bool:
    """Whether there is any device but the CPU that might be worth measuring."""
    return bool(_hardware_gpus()) or not {CUDA, COREML}.isdisjoint(ort.get_available_providers())


def usable_devices(gpu: Gpu) -> list[str]:
    """The devices, by the names that `Device.parse` reads, that run on this GPU with what is installed."""
    makers = {"webgpu": gpu.vendor, "coreml": APPLE}
    return [each.kind for each in candidates() if makers.get(each.kind, NVIDIA) == gpu.vendor]


def software_adapters() -> list[str]:
    """Names of Vulkan's adapters that compute on the CPU."""
    return [each.name for each in _adapters() if each.is_software]


def _usable(kind: str) -> bool:
    if not PLUGINS[kind].is_installed:
        return False
    with suppress(SetupError):  # it does not load: `--device KIND` says why
        return bool(PLUGINS[kind].devices())
    return False


def _only_software() -> bool:
    """Whether WebGPU, which takes Vulkan on Linux, would compute on the CPU or not at all."""
    return platform.system() == "Linux" and all(each.is_software for each in _adapters())


def _adapters() -> list[Adapter]:
    return adapters() if platform.system() == "Linux" else []


def _hardware_gpus() -> list[Any]:
    listed: list[Any] = getattr(ort_core, "get_hardware_devices", list)()  # ONNX Runtime 1.24 and later
    return [each for each in listed if each.type == ort.OrtHardwareDeviceType.GPU]


def _nvidia_cards() -> list[tuple[str, str, str]]:
    """Name, compute capability and driver of each of NVIDIA's cards, by the driver's own tool."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode != 0:
        return []
    rows = [line.rsplit(", ", 2) for line in done.stdout.splitlines()]
    return [(name, capability, driver) for name, capability, driver in rows]


def _install(vendor: int, capability: str) -> str:
    if vendor == NVIDIA and capability and not capability.startswith(RTX_CAPABILITIES):
        return "pip uninstall onnxruntime && pip install onnxruntime-gpu"
    kind = "rtx" if vendor == NVIDIA and capability else "webgpu"
    return "update its driver" if PLUGINS[kind].is_installed else PLUGINS[kind].install
