"""How long an archive or a film takes on 1 to 1,000 workers: a simulation from measured times.

    python benchmarks/cluster.py

Batches and their sizes are those of `colorcli.jobs.cluster`; what a driver, a start and a job cost is
measured (see the constants). Nothing here is a measurement of a large cluster: it says where, by these
figures, the limit would be.
"""

import heapq
import random
import sys
from dataclasses import dataclass

from colorcli.jobs.cluster import BATCH_SECONDS, LARGEST_BATCH

START = 3.0
"""Seconds until an actor has its model open."""
DRIVER_BATCH, DRIVER_JOB = 0.004, 0.0011
"""Seconds of the driver's CPU for a batch and for a job: its walk, leases, events and log."""
STORAGE = 1.2e9
"""Bytes a second of a server with a 10 Gbit/s network."""
WORKERS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Load:
    """Work of one kind."""

    name: str
    jobs: int
    seconds: tuple[float, ...]
    """Measured times of single jobs on one core; drawn from at random."""
    size: float
    """Bytes that a job reads and writes."""
    batched: bool = True


@dataclass(frozen=True)
class Result:
    wall: float
    efficiency: float
    """Share of the workers' time that is work."""
    driver: float
    """Share of one core that the driver uses."""
    storage: float
    """Share of the storage's speed that is used."""


def simulate(load: Load, workers: int, seed: int = 1) -> Result:
    """Run the batches through the workers, one event for each batch."""
    chance = random.Random(seed)
    mean = sum(load.seconds) / len(load.seconds)
    stretch = max(1.0, workers * load.size / mean / STORAGE)
    usual = max(1, min(LARGEST_BATCH, round(BATCH_SECONDS / mean))) if load.batched else 1
    left, driver, work, bytes_moved = load.jobs, 0.0, 0.0, 0.0
    free = [START] * workers
    while left:
        size = min(usual, -(-left // workers))
        seconds = sum(chance.choices(load.seconds, k=size)) * stretch
        driver = max(driver, free[0]) + DRIVER_BATCH + DRIVER_JOB * size
        heapq.heapreplace(free, driver + seconds)
        left, work, bytes_moved = left - size, work + seconds / stretch, bytes_moved + size * load.size
    wall = max(free)
    batches = load.jobs / usual
    busy = (batches * DRIVER_BATCH + load.jobs * DRIVER_JOB) / wall
    return Result(wall, work / (wall * workers), busy, bytes_moved / wall / STORAGE)


def show(load: Load) -> None:
    for workers in WORKERS:
        found = simulate(load, workers)
        hours = found.wall / 3600
        text = (
            f"{load.name:28} {workers:5} workers {hours:9.2f} h   efficiency {found.efficiency:4.0%}   "
            f"driver {found.driver:4.0%}   storage {found.storage:4.0%}\n"
        )
        sys.stdout.write(text)


LOADS = (
    Load("5 million gray JPEGs, 12 MP", 5_000_000, (0.129, 0.134, 0.139, 0.143, 0.147, 0.226), 3.8e6),
    Load("1 million TIFFs, 12 MP 16 bit", 1_000_000, (1.359, 1.393, 1.402, 1.409, 1.418, 1.423), 95e6),
    Load("67 films of 90 min, 1080p", 67, (129_600 / 17,), 8e9, batched=False),
)
"""Times on one core of an AMD EPYC (Zen 4), six files of each kind by `archive.py`; film on two cores."""


if __name__ == "__main__":
    for load in LOADS:
        show(load)
