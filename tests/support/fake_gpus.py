"""A machine that seems to have a GPU: by a mount namespace, a driver in software, and empty libraries."""

import os
import shutil
import subprocess
from pathlib import Path

SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
"""Chromium's Vulkan driver in software."""
NO_KERNELS = "COLORCLI_TEST_NO_KERNELS"
"""Variable that is set where a card only seems to be there: models are built for it, but not run."""
PCI = Path("/sys/bus/pci/devices")
CUDA = ("libcuda.so.1", "libnvidia-ml.so.1", "libcudart.so.13")
PROPERTIES = "cudaGetDeviceProperties"
CAPABILITY_AT = 360
"""Byte of cudaDeviceProp (CUDA 13) at which the compute capability stands, two ints."""
MORE_OF_CUDA = (
    "cuGetErrorName cuFuncSetAttribute cuLaunchKernel cuModuleGetFunction cuModuleLoadData cuModuleUnload"
)
"""What TensorRT's plugins look up by name."""
GIVE_HANDLES = ("Create", "BeginCapture", "EndCapture", "Instantiate", "Alloc")
"""Calls with these words in their names give a handle in their first argument."""


def why_no_namespace() -> str:
    """Why this process cannot show another PCI bus to a program; empty if it can."""
    if not PCI.is_dir() or shutil.which("unshare") is None:
        return "needs Linux with a PCI bus and unshare(1)"
    allowed = subprocess.run(["unshare", "-m", "mount", "--bind", str(PCI), str(PCI)], capture_output=True)
    return "" if allowed.returncode == 0 else "needs root in a mount namespace"


def pci_bus(folder: Path, vendor: str = "0x10de", device: str = "0x2684") -> Path:
    """A PCI bus with one graphics card, an RTX 4090 if not said otherwise."""
    card = folder / "0000:01:00.0"
    card.mkdir(parents=True)
    for name, value in (("vendor", vendor), ("device", device), ("class", "0x030000")):
        (card / name).write_text(value)
    return folder


def seeing(bus: Path, command: list[str]) -> list[str]:
    """The command, run where `bus` is the PCI bus."""
    return ["unshare", "-m", "sh", "-c", f'mount --bind "$0" {PCI} && exec "$@"', str(bus), *command]


def stub_driver(folder: Path, plugin: Path, capability: tuple[int, int] = (8, 9)) -> dict[str, str]:
    """Compile libraries that stand for NVIDIA's driver and CUDA; returns the environment to load them.

    Every call succeeds and does nothing. `plugin`: folder of the TensorRT-RTX plugin.
    """
    folder.mkdir(parents=True, exist_ok=True)
    symbols = _undefined_symbols(plugin)
    for library, prefix in zip(CUDA, ("cu", "nvml", "cuda"), strict=True):
        names = {name for name in symbols if _library_prefix(name) == prefix}
        if prefix == "cu":
            names |= set(MORE_OF_CUDA.split())
        source = folder / f"{library}.c"
        source.write_text("".join(_function(name, capability) for name in sorted(names)))
        version = folder / f"{library}.map"
        version.write_text(f"{library} {{ global: *; }};\n")
        script = [f"-Wl,--version-script={version}"] if prefix == "cuda" else []
        command = ["gcc", "-w", "-shared", "-fPIC", "-o", str(folder / library), str(source)]
        subprocess.run([*command, f"-Wl,-soname={library}", *script], check=True)
    paths = [str(folder), str(plugin), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths)), NO_KERNELS: "1"}


def _undefined_symbols(plugin: Path) -> set[str]:
    files = [
        str(path) for path in plugin.glob("*.so*") if not path.is_symlink() and "cudart" not in path.name
    ]
    listed = subprocess.run(["nm", "-D", "--undefined-only", *files], capture_output=True, text=True)
    return {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines() if " U " in line}


def _library_prefix(name: str) -> str:
    if name.startswith("cuda"):
        return "cuda"
    return "nvml" if name.startswith("nvml") else "cu" if name[:2] == "cu" and name[2:3].isupper() else ""


def _function(name: str, capability: tuple[int, int]) -> str:
    body = ""
    if name == "cudaGetDeviceCount":
        body = "*(int *)first = 1;"
    elif name == "cudaDeviceGetByPCIBusId":
        body = "*(int *)first = 0;"
    elif name == PROPERTIES:
        body = "".join(
            f"*(int *)((char *)first + {CAPABILITY_AT + 4 * index}) = {value};"
            for index, value in enumerate(capability)
        )
        body = f"__builtin_memset(first, 0, 1000); {body}"
    elif name.endswith(("GetErrorString", "ErrorString", "GetErrorName")) and not name.startswith("cuGet"):
        return f'const char *{name}(int code) {{ return "stub"; }}\n'
    elif any(word in name for word in GIVE_HANDLES):
        body = "static long handle[64]; *(void **)first = handle;"
    return f"int {name}(void *first) {{ {body} return 0; }}\n"
