"""The interface of every inference engine; `tests/engines/test_contract.py` runs over all of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from colorcli.errors import SetupError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Tensors = Mapping[str, "NDArray[Any]"]
"""Tensors by name."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model."""

    name: str
    shape: tuple[int | None, ...]
    """None where a dimension is dynamic."""
    dtype: str
    """NumPy's name of the type of its values, such as `float32`."""


class DeviceError(SetupError):
    """A device failed at its work; a smaller batch or another device may do it."""


@contextmanager
def device_errors(device: str) -> Iterator[None]:
    """Make a `DeviceError` of whatever a runtime raises while it works on a device other than the CPU."""
    try:
        yield
    except SetupError:
        raise
    except Exception as error:  # the runtimes' own exceptions share no base class but this
        if device == "cpu":
            raise
        remedy = "continue with --resume, or use --device cpu"
        raise DeviceError(device, f"the device failed ({error})", remedy) from error


class Engine(ABC):
    """A model file opened by a runtime: it moves named tensors and knows nothing about color.

    A context manager. Not safe for use from two threads at once. The registry calls a subclass with the path
    of the file, the name of the device, and the number of CPU threads or None.
    """

    metadata: Mapping[str, str]
    """The text that the file carries about itself: ONNX `metadata_props`, the safetensors header, ..."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    device: str
    """Where it runs: `cpu`, `cuda:0`, ..."""

    @abstractmethod
    def run(self, tensors: Tensors) -> "dict[str, NDArray[Any]]":
        """Compute all outputs from all inputs, whose shapes and types must fit `inputs`.

        The inputs are not changed; the outputs stay valid after the next call.

        Raises:
            DeviceError: a device other than the CPU failed.
        """

    def take_note(self) -> str:
        """What the user should know about the runs since the last call; empty if nothing."""
        return ""

    def close(self) -> None:  # noqa: B027 - most engines hold nothing that must be freed
        """Free memory and devices; the engine cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
