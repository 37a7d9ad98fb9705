"""TensorRT: runs plans that `export` built on this machine's model of GPU."""

from pathlib import Path

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart
from numpy.typing import NDArray

from colorcli.engines.base import Engine
from colorcli.engines.cuda import Buffer, call, select_gpu
from colorcli.engines.device import Device
from colorcli.engines.engine_file import EngineHeader, Profile, read_engine
from colorcli.engines.lanes import Lane, run_in_lanes
from colorcli.errors import SetupError

LANES = 2


class TensorrtEngine(Engine):
    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        """Open an exported plan. A plan is code: open only those you trust.

        Raises:
            SetupError: no GPU, another GPU or TensorRT than the plan is for, or not an exported plan.
        """
        asked = Device.parse(device)
        if asked.kind in ("cpu", "openvino"):
            raise SetupError(path, "plans run on GPUs only", "export an .onnx for the CPU")
        self._header, plan = read_engine(path)
        # First of all, for without a driver the Runtime below would crash the process.
        gpu = select_gpu(asked.index)
        self._header.check(path, trt.__version__, gpu)
        self._runtime, self._engine = _deserialize(path, self._header, plan)
        self._lanes: dict[Profile, list[EngineLane]] = {}
        self._path = path
        self.card = self._header.card
        self.device = f"cuda:{asked.index}"

    def colorize(self, condition: NDArray[np.float32]) -> NDArray[np.float32]:
        """As the contract says, up to the largest height and width the plan was built for.

        Raises:
            SetupError: the pictures are larger.
        """
        height, width = condition.shape[2:]
        profile = self._profile(height, width)
        missing = max(0, profile.min[1] - height), max(0, profile.min[2] - width)
        if any(missing):
            condition = np.pad(condition, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
        chroma = run_in_lanes(self._lanes_of(profile), condition, profile.opt[0])
        return chroma[:, :, :height, :width]

    def close(self) -> None:
        for lane in [lane for lanes in self._lanes.values() for lane in lanes]:
            lane.free()
        self._lanes.clear()

    def _profile(self, height: int, width: int) -> Profile:
        """The profile that covers this size and is fastest nearest to it."""
        fitting = [profile for profile in self._header.options.profiles if profile.covers(height, width)]
        if not fitting:
            cause = f"built for pictures smaller than {width}x{height}"
            raise SetupError(
                self._path, cause, f"give a smaller --size, or more --max: {self._header.rebuild}"
            )
        return min(fitting, key=lambda profile: abs(profile.opt[1] * profile.opt[2] - height * width))

    def _lanes_of(self, profile: Profile) -> list["EngineLane"]:
        if profile not in self._lanes:
            index = self._header.options.profiles.index(profile)
            self._lanes[profile] = [EngineLane(self._engine, index, profile) for _ in range(LANES)]
        return self._lanes[profile]


def _deserialize(path: Path, header: EngineHeader, plan: bytes) -> tuple["trt.Runtime", "trt.ICudaEngine"]:
    """The runtime comes back too, since it must outlive its engine."""
    runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    # A version-compatible plan brings its own runtime along, as code for the host.
    runtime.engine_host_code_allowed = header.options.version_compatible
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise SetupError(path, "TensorRT cannot read this plan", f"rebuild it: {header.rebuild}")
    return runtime, engine


class EngineLane(Lane):
    """An execution context with its stream and buffers, all made once for the profile's largest shape."""

    def __init__(self, engine: "trt.ICudaEngine", index: int, profile: Profile) -> None:
        pixels = profile.max[0] * profile.max[1] * profile.max[2]
        self._condition, self._chroma = Buffer(4 * pixels), Buffer(2 * pixels)
        (self._stream,) = call(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
        self._context = engine.create_execution_context()
        if self._context is None or not self._context.set_optimization_profile_async(
            index, int(self._stream)
        ):
            raise SetupError(
                "TensorRT", "no memory for an execution context", "free some, or build a smaller --max"
            )
        self._context.set_tensor_address("condition", int(self._condition.device))
        self._context.set_tensor_address("chroma", int(self._chroma.device))
        self._shape: tuple[int, ...] = ()

    def start(self, condition: NDArray[np.float32]) -> None:
        pictures, _, height, width = condition.shape
        self._shape = (pictures, 2, height, width)
        self._condition.values[: condition.size] = condition.ravel()
        self._condition.upload(condition.size, self._stream)
        self._context.set_input_shape("condition", condition.shape)
        if not self._context.execute_async_v3(int(self._stream)):
            raise SetupError("TensorRT", f"the plan does not run at {condition.shape}", "export it again")
        self._chroma.download(int(np.prod(self._shape)), self._stream)

    def finish(self) -> NDArray[np.float32]:
        call(cudart.cudaStreamSynchronize(self._stream))
        return self._chroma.values[: np.prod(self._shape)].reshape(self._shape)

    def free(self) -> None:
        del self._context
        self._condition.free()
        self._chroma.free()
        cudart.cudaStreamDestroy(self._stream)
