"""A worker process: opens the model once, then does one job after another.

Its parent imports this module too, for the messages, so heavy modules are imported where they are used.
"""

import ctypes
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from colorcli.errors import ColorcliError
from colorcli.jobs.execute import execute, execute_task, open_context
from colorcli.jobs.job import Job
from colorcli.options import Outcome, RunOptions
from colorcli.signals import ignore_signals

if TYPE_CHECKING:
    from colorcli.engines.shared import EngineConnections

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
KEPT_MEMORY, LARGEST_BLOCK = 1 << 28, 1 << 25
"""Bytes that a worker keeps allocated for its next job, in blocks of at most so many."""

Serve = Callable[[Connection, RunOptions, int, "EngineConnections | None"], None]


@dataclass(frozen=True)
class Ready:
    """The model is open."""


@dataclass(frozen=True)
class Result:
    outcome: Outcome | ColorcliError
    seconds: float


def serve(
    connection: Connection, options: RunOptions, memory: int, shared: "EngineConnections | None"
) -> None:
    """Answer every `work.Unit` with its events and a `Result`, until the connection closes.

    If no job can be done, because the model or the device is not available, a ColorcliError is the only
    message. `memory` bounds what a runaway decoder can allocate, in bytes. `shared`: as in `open_context`.
    """
    _prepare_process(memory)
    try:
        with open_context(options, 1, shared) as context:
            connection.send(Ready())
            while True:
                unit = connection.recv()
                start = time.perf_counter()
                outcome: Outcome | ColorcliError
                try:
                    if isinstance(unit, Job):
                        outcome = execute(unit, context, connection.send)
                    else:
                        outcome = execute_task(unit.job, unit.task, context, connection.send)
                except ColorcliError as error:
                    outcome = error
                connection.send(Result(outcome, time.perf_counter() - start))
    except ColorcliError as error:
        connection.send(error)
    except EOFError:
        pass


def _prepare_process(memory: int) -> None:
    """Silence this process, bound its memory, and end it when its parent ends."""
    ignore_signals()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # decoders print complaints of their own; real problems are raised as errors
        os.dup2(silence, stream)
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    with suppress(OSError, AttributeError, TypeError):  # another C library
        # Returning pages after each image and faulting them in for the next takes a fifth of the time.
        for parameter, size in ((M_TRIM_THRESHOLD, KEPT_MEMORY), (M_MMAP_THRESHOLD, LARGEST_BLOCK)):
            ctypes.CDLL(None).mallopt(parameter, size)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
    import cv2

    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
