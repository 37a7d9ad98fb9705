"""The CUDA runtime without torch: selecting a GPU, and memory and streams for TensorRT engines."""

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import runtime as cudart
from numpy.typing import NDArray

from colorcli.engines.base import DeviceError
from colorcli.engines.engine_file import Gpu
from colorcli.errors import SetupError


def select_gpu(index: int) -> Gpu:
    """Make GPU `index` the current one.

    Call this before anything of TensorRT: without a driver, creating its Runtime crashes the process.

    Raises:
        SetupError: there is no driver, or no such GPU.
    """
    subject = f"cuda:{index}"
    status, count = cudart.cudaGetDeviceCount()
    if status != cudart.cudaError_t.cudaSuccess:
        cause = f"no usable GPU ({_reason(status)})"
        raise SetupError(subject, cause, "check the NVIDIA driver, or --device cpu")
    if index >= count:
        remedy = f"give cuda:0 to cuda:{count - 1}"
        raise SetupError(subject, f"there are {count} GPUs, counted from 0", remedy)
    call(cudart.cudaSetDevice(index))
    (properties,) = call(cudart.cudaGetDeviceProperties(index))
    return Gpu(properties.name.decode(), (properties.major, properties.minor))


def call(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """Check the status in a CUDA call's return values, and return the others.

    Raises:
        DeviceError: the call failed.
    """
    status, *values = answer
    if status != cudart.cudaError_t.cudaSuccess:
        remedy = "free the GPU's memory or give a smaller --size, and continue with --resume"
        raise DeviceError("CUDA", _reason(status), remedy)
    return tuple(values)


def _reason(status: Any) -> str:
    return str(cudart.cudaGetErrorString(status)[1].decode())


class Buffer:
    """Memory for one tensor on the GPU and, page-locked, on the host, with the copies between them."""

    def __init__(self, size: int, dtype: str) -> None:
        """`size`: number of values; `dtype`: NumPy's name of their type."""
        self._item = np.dtype(dtype).itemsize
        length = self._item * size
        (self.device,) = call(cudart.cudaMalloc(length))
        try:
            (self._host,) = call(cudart.cudaHostAlloc(length, cudart.cudaHostAllocDefault))
        except DeviceError:
            cudart.cudaFree(self.device)
            raise
        memory = (ctypes.c_uint8 * length).from_address(int(self._host))
        self.values: NDArray[Any] = np.ctypeslib.as_array(memory).view(dtype)
        """The host's copy, [size]."""

    def upload(self, size: int, stream: Any) -> None:
        """Queue the copy of the first `size` values to the GPU."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(cudart.cudaMemcpyAsync(self.device, self._host, self._item * size, kind, stream))

    def download(self, size: int, stream: Any) -> None:
        """Queue the copy of the first `size` values to the host."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cudart.cudaMemcpyAsync(self._host, self.device, self._item * size, kind, stream))

    def free(self) -> None:
        """Free both sides."""
        cudart.cudaFree(self.device)
        cudart.cudaFreeHost(self._host)
