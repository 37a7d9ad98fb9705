"""Repeated shapes in ONNX Runtime on a card: buffers on the card bound once, and a CUDA graph for each shape.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from colorcli.engines.base import Tensors

MOST_SHAPES = 4
"""Shapes that are bound: each holds memory on the card until the session is closed."""
GRAPH_ID = "gpu_graph_id"
"""ONNX Runtime's key of the number of the CUDA graph that a run records or replays."""
NO_GRAPH = "-1"
TOLERANCE = 1e-3
"""Largest difference between a bound run and a plain one: float16 in another order of sums."""

Shapes = tuple[tuple[int, ...], ...]
Allocate = Callable[[Sequence[int], Any], ort.OrtValue]
"""Makes a tensor on the card, from its shape and its NumPy type."""


@dataclass(frozen=True)
class _Bound:
    """A shape's buffers on the card."""

    inputs: dict[str, ort.OrtValue]
    binding: ort.IOBinding
    options: ort.RunOptions


class BoundRuns:
    """Runs of a session. A shape that comes a second time is bound; the first shapes to repeat are.

    The first bound run of a shape is compared with a plain run. Where it fails or gives something else, all
    runs are plain from then on.
    """

    def __init__(self, session: ort.InferenceSession, allocate: Allocate) -> None:
        self._session, self._allocate = session, allocate
        self._names = [output.name for output in session.get_outputs()]
        self._plain = _options(NO_GRAPH)
        self._seen: set[Shapes] = set()
        self._bound: dict[Shapes, _Bound] = {}
        self.works = True
        """Whether repeated shapes are bound."""

    def run(self, tensors: Tensors) -> list[NDArray[Any]]:
        """The outputs, in the session's order; they stay valid after the next run."""
        shapes = tuple(values.shape for values in tensors.values())
        if shapes in self._bound:
            return self._run_bound(self._bound[shapes], tensors)
        outputs: list[NDArray[Any]] = self._session.run(self._names, dict(tensors), self._plain)
        if shapes in self._seen and self.works and len(self._bound) < MOST_SHAPES:
            self._try(shapes, tensors, outputs)
        self._seen.add(shapes)
        return outputs

    def _try(self, shapes: Shapes, tensors: Tensors, expected: list[NDArray[Any]]) -> None:
        try:
            bound = self._bind(tensors, expected)
            pairs = zip(self._run_bound(bound, tensors), expected, strict=True)
            self.works = all(np.allclose(ours, other, atol=TOLERANCE) for ours, other in pairs)
        except Exception:  # onnxruntime's own exceptions share no base class but this
            self.works = False
        if self.works:
            self._bound[shapes] = bound
        else:
            self._bound.clear()

    def _bind(self, tensors: Tensors, outputs: list[NDArray[Any]]) -> _Bound:
        binding = self._session.io_binding()
        inputs = {name: self._allocate(values.shape, values.dtype) for name, values in tensors.items()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, values in zip(self._names, outputs, strict=True):
            binding.bind_ortvalue_output(name, self._allocate(values.shape, values.dtype))
        return _Bound(inputs, binding, _options(str(len(self._bound) + 1)))

    def _run_bound(self, bound: _Bound, tensors: Tensors) -> list[NDArray[Any]]:
        for name, values in tensors.items():
            bound.inputs[name].update_inplace(np.ascontiguousarray(values))
        self._session.run_with_iobinding(bound.binding, bound.options)
        return [np.array(values) for values in bound.binding.copy_outputs_to_cpu()]


def _options(graph: str) -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry(GRAPH_ID, graph)
    return options
