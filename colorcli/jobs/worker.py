"""A worker process: opens the engine once, then colors one still after another.

Its parent imports this module for the messages alone, so what is heavy is imported where it is used.
"""

import ctypes
import filecmp
import os
import signal
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.errors import ColorcliError
from colorcli.options import Existing, Outcome, RunOptions

if TYPE_CHECKING:
    from colorcli.colorizer.predictor import ChromaPredictor

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
KEPT_MEMORY, LARGEST_BLOCK = 1 << 28, 1 << 25
"""Bytes that a worker keeps for its next picture, in blocks of at most so many."""


@dataclass(frozen=True)
class Ready:
    """The engine is open."""


@dataclass(frozen=True)
class Pulse:
    """Still at work: so many of so many steps are done."""

    done: int
    total: int


@dataclass(frozen=True)
class Result:
    outcome: Outcome | ColorcliError
    seconds: float


Message = Ready | Pulse | Result | ColorcliError
"""What a worker says; an error by itself means that it cannot work at all."""


def serve(connection: Connection, options: RunOptions, memory: int) -> None:
    """Answer (source, output) pairs with a `Result` each, until the connection closes.

    `memory` bounds what a decoder gone wild can take, in bytes.
    """
    _settle(memory)
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.models import open_model

    look = options.color
    try:
        model = open_model(look.model, look.device, threads=1)
    except ColorcliError as error:
        connection.send(error)
        return
    with model:
        colorizer = ChromaPredictor(model, size=look.size, saturation=look.saturation)
        connection.send(Ready())
        while True:
            try:
                source, output = connection.recv()
            except EOFError:
                return
            start = time.perf_counter()
            outcome = _attempt(source, output, options, colorizer, connection)
            connection.send(Result(outcome, time.perf_counter() - start))


def _attempt(
    source: Path, output: Path, options: RunOptions, colorizer: "ChromaPredictor", connection: Connection
) -> Outcome | ColorcliError:
    from colorcli.colorizer.color_sources import ColorSources
    from colorcli.images.colorize import colorize_image
    from colorcli.images.comparison import write_comparison

    def pulse(done: int, total: int) -> None:
        connection.send(Pulse(done, total))

    try:
        if output.exists() and options.existing in (Existing.SKIP, Existing.RESUME):
            outcome = Outcome("skipped")  # only its comparison is wanted
        else:
            outcome = colorize_image(
                source, output, options, colorizer, ColorSources.load(options.color), pulse
            )
        if options.compare and not filecmp.cmp(source, output, shallow=False):
            write_comparison(source, output)
    except ColorcliError as error:
        return error
    return outcome


def _settle(memory: int) -> None:
    """Make this process a quiet, bounded one that does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # decoders write complaints of their own; what matters comes as errors
        os.dup2(silence, stream)
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    with suppress(OSError, AttributeError, TypeError):  # another C library
        # Pages given back after each picture and faulted in for the next cost a fifth of the time.
        for parameter, size in ((M_TRIM_THRESHOLD, KEPT_MEMORY), (M_MMAP_THRESHOLD, LARGEST_BLOCK)):
            ctypes.CDLL(None).mallopt(parameter, size)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
    import cv2
    from PIL import Image

    cv2.setNumThreads(1)
    Image.MAX_IMAGE_PIXELS = None  # `--max-pixels` rules, checked before decoding
    warnings.simplefilter("ignore")


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
