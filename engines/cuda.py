"""What is asked of CUDA outside torch: is there a GPU, and memory and streams to run plans with."""

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import runtime as cudart
from numpy.typing import NDArray

from colorcli.engines.engine_file import Gpu
from colorcli.errors import SetupError


def select_gpu(index: int) -> Gpu:
    """Make GPU `index` the current one.

    To be called before anything of TensorRT: its Runtime, made without a driver, crashes the process.

    Raises:
        SetupError: no driver, or no such GPU.
    """
    subject = f"cuda:{index}"
    status, count = cudart.cudaGetDeviceCount()
    if status != cudart.cudaError_t.cudaSuccess:
        raise SetupError(
            subject, f"no usable GPU ({_reason(status)})", "check the NVIDIA driver, or --device cpu"
        )
    if index >= count:
        raise SetupError(
            subject, f"there are {count} GPUs, counted from 0", f"give cuda:0 to cuda:{count - 1}"
        )
    call(cudart.cudaSetDevice(index))
    (properties,) = call(cudart.cudaGetDeviceProperties(index))
    return Gpu(properties.name.decode(), (properties.major, properties.minor))


def call(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """Take the status off a CUDA call's answer.

    Raises:
        SetupError: the call failed.
    """
    status, *values = answer
    if status != cudart.cudaError_t.cudaSuccess:
        raise SetupError("CUDA", _reason(status), "free the GPU's memory, or use a smaller --size")
    return tuple(values)


def _reason(status: Any) -> str:
    return str(cudart.cudaGetErrorString(status)[1].decode())


class Buffer:
    """Memory for one tensor, on the GPU and page-locked on the host, with the copies between the two."""

    def __init__(self, size: int) -> None:
        """`size`: in float32 values."""
        self._bytes = 4 * size
        (self.device,) = call(cudart.cudaMalloc(self._bytes))
        (self._host,) = call(cudart.cudaHostAlloc(self._bytes, cudart.cudaHostAllocDefault))
        memory = (ctypes.c_float * size).from_address(int(self._host))
        self.values: NDArray[np.float32] = np.ctypeslib.as_array(memory)
        """The host's side, [size]."""

    def upload(self, size: int, stream: Any) -> None:
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(cudart.cudaMemcpyAsync(self.device, self._host, 4 * size, kind, stream))

    def download(self, size: int, stream: Any) -> None:
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cudart.cudaMemcpyAsync(self._host, self.device, 4 * size, kind, stream))

    def free(self) -> None:
        cudart.cudaFree(self.device)
        cudart.cudaFreeHost(self._host)
