"""Devices by the names of the command line, and the number of CPU threads to use."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from colorcli.errors import UsageError

Kind = Literal["auto", "cpu", "openvino", "coreml", "cuda", "tensorrt", "rtx", "webgpu"]
NAMES = "auto, coreml, cpu, cuda, cuda:N, openvino, rtx, tensorrt or webgpu"
WITHOUT_NUMBER = ("auto", "cpu", "openvino", "coreml")


@dataclass(frozen=True)
class Device:
    """The device that a model is to run on."""

    kind: Kind
    """`openvino` is the CPU through OpenVINO; `tensorrt` is CUDA through ONNX Runtime's TensorRT provider,
    which builds its engine at the first picture; `rtx` is TensorRT for RTX cards; `webgpu` is any GPU;
    `coreml` is Apple's CPU, GPU and Neural Engine."""
    index: int = 0
    """Number of the GPU, counted from 0."""

    @classmethod
    def parse(cls, text: str) -> "Device":
        """Read one of `WITHOUT_NUMBER`, or one of `cuda`, `tensorrt`, `rtx`, `webgpu`, with `:N` or not.

        Raises:
            UsageError: it is none of these.
        """
        match = re.fullmatch(rf"({'|'.join(WITHOUT_NUMBER)})|(cuda|tensorrt|rtx|webgpu)(?::(\d+))?", text)
        if match is None:
            raise UsageError(text, "no such device", f"give {NAMES}")
        return cls(cast(Kind, match[1] or match[2]), int(match[3] or 0))

    def __str__(self) -> str:
        return self.kind if self.kind in WITHOUT_NUMBER else f"{self.kind}:{self.index}"


def is_compiled(model: Path) -> bool:
    """Whether a file is a model compiled for RTX cards, by its name."""
    return model.name.lower().endswith(".rtx.onnx")


def spread(text: str) -> list[str]:
    """The single devices that `cuda:0,1,2` or `tensorrt:0,1` stands for; any other name stands for itself."""
    kind, _, numbers = text.partition(":")
    return [f"{kind}:{number}" for number in numbers.split(",")] if "," in numbers else [text]


def cpu_threads() -> int:
    """CPU cores that this process may use, by its affinity and its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()  # Linux, cgroup v2
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # another system, or no quota ("max")
        return cores
