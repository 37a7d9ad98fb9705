"""How long a model takes in an engine."""

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorcli.engines.base import Engine


def milliseconds(engine: Engine, *, batch: int = 1, size: int = 256, calls: int = 15) -> float:
    """Median time of one run, with `batch` for a dynamic first dimension and `size` for any other.

    Two more calls come first and do not count: in them memory is allocated and algorithms are chosen.
    """
    sample = sample_inputs(engine, batch=batch, size=size)
    times = []
    for _ in range(calls + 2):
        start = perf_counter()
        engine.run(sample)
        times.append(1000 * (perf_counter() - start))
    return median(times[2:])


def sample_inputs(engine: Engine, *, batch: int = 1, size: int = 256) -> dict[str, NDArray[Any]]:
    """Random values in [0, 1) for all inputs, always the same; free dimensions as in `milliseconds`."""
    rng = np.random.default_rng(0)
    sample = {}
    for spec in engine.inputs:
        shape = [length or (size if axis else batch) for axis, length in enumerate(spec.shape)]
        sample[spec.name] = rng.random(shape).astype(spec.dtype)
    return sample
