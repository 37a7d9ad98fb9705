"""How long an engine takes."""

from statistics import median
from time import perf_counter

from colorcli.engines.base import Engine
from colorcli.engines.builders.parity import sample_condition


def milliseconds(engine: Engine, *, batch: int = 1, size: int | None = None, calls: int = 15) -> float:
    """Median time of one `colorize` of `batch` square pictures; `size` is the card's working size if None.

    Two calls go before those that count: in them, memory is allocated and algorithms are chosen.
    """
    side = size or engine.card.working_size
    sample = sample_condition((batch, 4, side, side))
    times = []
    for _ in range(calls + 2):
        start = perf_counter()
        engine.colorize(sample)
        times.append(1000 * (perf_counter() - start))
    return median(times[2:])
