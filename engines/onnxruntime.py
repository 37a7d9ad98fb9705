"""ONNX Runtime: the default engine on any CPU; on GPUs with `onnxruntime-gpu` or one of the `plugins`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.engines.base import Engine, Tensors, TensorSpec, device_errors
from colorcli.engines.bound_runs import Allocate, BoundRuns
from colorcli.engines.cache import cache_folder
from colorcli.engines.device import Device, cpu_threads, is_compiled
from colorcli.engines.plugins import PLUGINS
from colorcli.errors import SetupError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {"cuda": CUDA, "tensorrt": TENSORRT, "coreml": "CoreMLExecutionProvider"}
"""What ONNX Runtime itself carries, by the kind of device; the CPU's for any other."""
GRAPH_DEVICES = ("cuda", "rtx")
"""Kinds of devices with buffers that can be bound, and with CUDA graphs."""
CUDA_GRAPH = "enable_cuda_graph"
DTYPES = {"float": "float32", "double": "float64"}
"""ONNX Runtime's names of types that NumPy calls otherwise."""


class OnnxEngine(Engine):
    """An ONNX file in an ONNX Runtime session."""

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an ONNX file.

        Raises:
            SetupError: the file is not a readable ONNX model, or the device is not available.
        """
        requested = Device.parse(device)
        self._session = session = _open_session(path, requested, threads)
        allocate = _allocator(requested)
        self._bound_runs = BoundRuns(session, allocate) if allocate else None
        self.metadata = session.get_modelmeta().custom_metadata_map
        self.inputs = tuple(map(_spec, session.get_inputs()))
        self.outputs = tuple(map(_spec, session.get_outputs()))
        self._output_names = [spec.name for spec in self.outputs]
        shown = {"auto": "cpu", "tensorrt": f"cuda:{requested.index}"}  # the provider's own name for the card
        self.device = shown.get(requested.kind, str(requested))

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        with device_errors(self.device):
            if self._bound_runs:
                values = self._bound_runs.run(tensors)
            else:
                values = self._session.run(self._output_names, dict(tensors))
        return dict(zip(self._output_names, values, strict=True))


def _open_session(path: Path, device: Device, threads: int | None) -> ort.InferenceSession:
    """Open a file on a device; with CUDA graphs where the whole network can be recorded as one."""
    for graphs in (True, False):
        options = _options(threads)
        file, provider = _add_provider(options, device, path, graphs=graphs)
        try:
            session = ort.InferenceSession(str(file), options)
            break
        except Exception as error:  # onnxruntime's own exceptions share no base class but this
            if graphs and device.kind in GRAPH_DEVICES:
                continue
            on_gpu = f", or it does not run on {device}" if provider != CPU else ""
            remedy = "export it again" + (", or use --device cpu" if on_gpu else "")
            raise SetupError(path, f"not a readable ONNX model{on_gpu} ({error})", remedy) from error
    if session.get_providers()[0] != provider:
        # ONNX Runtime falls back to the CPU with only a warning; a user who chose a GPU must know.
        raise SetupError(str(device), f"{provider} does not start", "check the driver, or --device cpu")
    return session


def _options(threads: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # published exports cause warnings that no user can do anything about
    options.intra_op_num_threads = threads or cpu_threads()
    # Picture sizes vary: a memory pattern for each shape costs memory and gains no time.
    options.enable_mem_pattern = False
    # Threads that wait for work must sleep: decoder, optical flow and encoder need the same cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _allocator(device: Device) -> Allocate | None:
    """What makes tensors on a card that can be bound, for those whose memory ONNX Runtime gives to Python."""
    if device.kind not in GRAPH_DEVICES:
        return None

    def allocate(shape: Sequence[int], dtype: Any) -> ort.OrtValue:
        make = ort.OrtValue.ortvalue_from_shape_and_type
        if device.kind == "cuda":
            return make(shape, dtype, "cuda", device.index)
        from colorcli.engines import rtx

        memory = rtx.card(device.index).memory_info(ort.OrtDeviceMemoryType.DEFAULT)
        return make(shape, dtype, memory_info=memory)

    return allocate


def _spec(tensor: Any) -> TensorSpec:
    """Read an `onnxruntime.NodeArg`, whose type reads `tensor(float)` and whose free dimensions are names."""
    dtype = tensor.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    return TensorSpec(tensor.name, shape, DTYPES.get(dtype, dtype))


def _add_provider(
    options: ort.SessionOptions, device: Device, model: Path, *, graphs: bool
) -> tuple[Path, str]:
    """Add the provider that runs on a device; returns the file to open and the provider's name.

    Args:
        graphs: record CUDA graphs, where the device can.

    Raises:
        SetupError: it is not installed, there is no such device, or the file is not for this device.
    """
    if device.kind == "rtx":
        return _add_rtx(options, device.index, model, graphs=graphs)
    if is_compiled(model):
        raise SetupError(
            model, "compiled for RTX cards", "leave out --device, or run the model it was made of"
        )
    if device.kind == "webgpu":
        found = PLUGINS[device.kind].devices()
        if device.index >= len(found):
            cause = f"WebGPU finds {len(found)} GPUs, counted from 0"
            raise SetupError(str(device), cause, "see `colorcli doctor`, or use --device cpu")
        options.add_provider_for_devices([found[device.index]], {})
        return model, str(found[device.index].ep_name)
    provider = PROVIDERS.get(device.kind, CPU)
    if provider not in ort.get_available_providers():
        remedy = "install onnxruntime-gpu in place of onnxruntime, or use --device cpu"
        if device.kind == "coreml":
            remedy = "macOS only; use --device cpu"
        raise SetupError(str(device), f"this ONNX Runtime has no {provider}", remedy)
    options.add_provider(provider, _settings(provider, device.index, graphs=graphs))
    return model, provider


def _add_rtx(options: ort.SessionOptions, index: int, model: Path, *, graphs: bool) -> tuple[Path, str]:
    from colorcli.engines import rtx

    card = rtx.card(index)
    if is_compiled(model):
        rtx.check(model, index)
    else:
        model = rtx.compiled_in_cache(model, index)
    settings = {"nv_runtime_cache_path": str(cache_folder("rtx")), CUDA_GRAPH: str(int(graphs))}
    options.add_provider_for_devices([card], settings)
    return model, str(card.ep_name)


def _settings(provider: str, index: int, *, graphs: bool) -> dict[str, str]:
    if provider == CPU:
        return {}
    if provider == PROVIDERS["coreml"]:
        return {"ModelFormat": "MLProgram", "ModelCacheDirectory": str(cache_folder("coreml"))}
    if provider == CUDA:
        return {
            "device_id": str(index),
            "cudnn_conv_algo_search": "HEURISTIC",  # the exhaustive search would run again for every size
            CUDA_GRAPH: str(int(graphs)),
            "use_tf32": "0",  # compute in float32 as the file says, not rounded to 10 bits
        }
    return {
        "device_id": str(index),
        "trt_engine_cache_enable": "1",  # building an engine takes minutes
        "trt_engine_cache_path": str(cache_folder("tensorrt")),
    }
