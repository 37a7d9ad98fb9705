"""Device names of the command line, and the number of threads."""

import os
import subprocess
import sys

import pytest

from colorcli.engines.device import Device, cpu_threads
from colorcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("auto", Device("auto")),
        ("cpu", Device("cpu")),
        ("openvino", Device("openvino")),
        ("coreml", Device("coreml")),
        ("cuda", Device("cuda", 0)),
        ("cuda:3", Device("cuda", 3)),
        ("tensorrt:1", Device("tensorrt", 1)),
    ],
)
def test_names_are_read_and_written(text: str, device: Device) -> None:
    assert Device.parse(text) == device
    assert Device.parse(str(device)) == device


@pytest.mark.parametrize(
    "text", ["", "gpu", "cpu:1", "openvino:0", "coreml:0", "cuda:", "cuda:x", "cuda:-1", "CUDA", "cuda:0 "]
)
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="give auto, coreml, cpu, cuda"):
        Device.parse(text)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no processes")
def test_a_process_pinned_to_one_core_uses_one_thread() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from colorcli.engines.device import cpu_threads; raise SystemExit(cpu_threads())"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1
    assert cpu_threads() >= 1


def test_a_system_without_affinity_has_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cpu_threads() >= 1
