"""How many workers this machine can feed, and how much memory each may take."""

from contextlib import suppress
from pathlib import Path

from colorcli.engines.device import cpu_threads

GIGABYTE = 1 << 30
MEMORY_PER_WORKER = GIGABYTE
"""What a worker needs for common pictures; fewer are started where memory is short."""
LEAST_MEMORY = 2 * GIGABYTE
"""No worker is held to less, or large pictures that would fit could not be done at all."""
SHARE = 0.9
"""Of the free memory, what workers may take together."""


def worker_count(stills: int, asked: int | None) -> int:
    """As many workers as asked for, or as cores and memory allow; never more than pictures."""
    if asked is None:
        asked = min(cpu_threads(), max(1, free_memory() // MEMORY_PER_WORKER))
    return max(1, min(asked, stills))


def worker_memory(workers: int) -> int:
    """Bytes that each of so many workers may take."""
    return max(LEAST_MEMORY, int(free_memory() * SHARE / workers))


def free_memory() -> int:
    """Bytes that this process and its children may still take, as far as the system tells."""
    free = 4 * GIGABYTE
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with suppress(OSError, ValueError):  # a container's own limit
        free = min(free, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return free
