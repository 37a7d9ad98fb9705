"""How many workers fit this machine, and how much memory each may take."""

from contextlib import suppress
from pathlib import Path

from colorcli.engines.device import cpu_threads

GIGABYTE = 1 << 30
MEMORY_PER_WORKER = GIGABYTE
"""Bytes a worker needs for common images; fewer workers start if memory is short."""
MEMORY_PER_FILM_WORKER = 3 * GIGABYTE // 2
"""Bytes that a task of a film takes at 1080 lines, its encoder included."""
LEAST_MEMORY = 2 * GIGABYTE
"""Bytes every worker may take, or large images that would fit could not be done at all."""
SHARE = 0.9
"""Share of the free memory that workers may take together."""


def worker_count(asked: int | None) -> int:
    """As many workers as asked for, or as cores and memory allow."""
    if asked is None:
        asked = min(cpu_threads(), free_memory() // MEMORY_PER_WORKER)
    return max(1, asked)


def film_worker_count(asked: int | None) -> int:
    """How many tasks of films are done at once: as many as asked for, or as cores and memory allow.

    One keeps two cores busy, with its own threads and its encoder.
    """
    if asked is None:
        asked = min(cpu_threads() // 2, free_memory() // MEMORY_PER_FILM_WORKER)
    return max(1, asked)


def worker_memory(workers: int) -> int:
    """Bytes that each of `workers` workers may take."""
    return max(LEAST_MEMORY, int(free_memory() * SHARE / workers))


def free_memory() -> int:
    """Bytes that this process and its children may still take, as far as the system says."""
    free = 4 * GIGABYTE
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with suppress(OSError, ValueError):  # a container's own limit
        free = min(free, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return free
