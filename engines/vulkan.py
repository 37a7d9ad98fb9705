"""The adapters that Vulkan finds, by its C interface: names, and which of them compute in software.

Structures as in Vulkan 1.0 (vulkan_core.h): https://registry.khronos.org/vulkan/specs/1.0/html/vkspec.html
"""

import ctypes
import ctypes.util
from dataclasses import dataclass

SOFTWARE = 4
"""VK_PHYSICAL_DEVICE_TYPE_CPU: llvmpipe, lavapipe, SwiftShader."""
INSTANCE_CREATE_INFO = 1
"""VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO"""


@dataclass(frozen=True)
class Adapter:
    name: str
    vendor: int
    """PCI number."""
    device: int
    """PCI number."""
    is_software: bool


class _CreateInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class _Properties(ctypes.Structure):
    _fields_ = (
        ("api_version", ctypes.c_uint32),
        ("driver_version", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_uint8 * 4096),  # the limits, which nobody reads here, and some room
    )


def adapters() -> list[Adapter]:
    """All adapters; none where Vulkan is not installed or does not start."""
    library = ctypes.util.find_library("vulkan")
    if library is None:
        return []
    vulkan = ctypes.CDLL(library)
    instance = ctypes.c_void_p()
    if vulkan.vkCreateInstance(ctypes.byref(_CreateInfo(INSTANCE_CREATE_INFO)), None, ctypes.byref(instance)):
        return []
    try:
        count = ctypes.c_uint32()
        vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
        devices = (ctypes.c_void_p * count.value)()
        vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
        return [_describe(vulkan, device) for device in devices[: count.value]]
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _describe(vulkan: ctypes.CDLL, device: int | None) -> Adapter:
    found = _Properties()
    vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), ctypes.byref(found))
    return Adapter(found.name.decode(errors="replace"), found.vendor, found.device, found.type == SOFTWARE)
