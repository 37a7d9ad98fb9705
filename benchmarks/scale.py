"""How the speed of a film grows with the number of worker processes.

    python benchmarks/scale.py [WORKERS...]

Last result: 87.1 s with one worker, 92.3 s with eight and eight times the film, 0.944 of linear; two cores of
an AMD EPYC, shared with other work, one run.

A generated film is colorized in tasks by worker processes whose network only sleeps, so that the figure is
that of planning, handing out, encoding and joining, also on a machine with fewer cores than workers. Each
worker has two tasks of 240 frames; with perfect scaling the time does not depend on the number of workers.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.engines.shared import EngineConnections
from colorcli.errors import ColorcliError
from colorcli.jobs import execute, worker
from colorcli.jobs.executors import ProcessPoolExecutor
from colorcli.jobs.job import Job, Kind
from colorcli.options import RunOptions, VideoOptions
from colorcli.signals import StopSignals
from colorcli.video.ffmpeg import find_ffmpeg

SECONDS = 2.0
"""A prediction takes so long: one task has some twenty."""
TASKS = 2
"""Tasks of each worker."""
FRAMES = 240


class Sleeper(ChromaPredictor):
    """A network that computes nothing, slowly."""

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None] | None = None) -> list[Plane]:
        time.sleep(SECONDS)
        return [np.zeros((2, *luma.shape), np.float32) for luma in lumas]


def serve(connection: Connection, options: RunOptions, memory: int, shared: EngineConnections | None) -> None:
    """As `worker.serve`, with the sleeper."""

    @contextmanager
    def asleep(
        options: RunOptions, threads: int | None = None, shared: EngineConnections | None = None
    ) -> Iterator[execute.Context]:
        with execute.open_context(options, threads, shared) as context:
            yield replace(context, predictor=Sleeper(context.predictor._model))

    vars(worker)["open_context"] = asleep
    worker.serve(connection, options, memory, shared)


def film(path: Path, shots: int) -> Path:
    """Shots of one task each."""
    sources = [
        f"testsrc2=s=64x48:r=25,hue=s=0,negate=enable={place % 2},trim=end_frame={FRAMES}"
        for place in range(shots)
    ]
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    joined = "".join(f"[{place}:v]" for place in range(shots)) + f"concat=n={shots}"
    command = [find_ffmpeg(), "-y", "-v", "error", *inputs, "-filter_complex", joined]
    subprocess.run([*command, "-pix_fmt", "gray", "-c:v", "ffv1", "-g", "1", str(path)], check=True)
    return path


def timed(workers: int) -> float:
    """Seconds for a film of `TASKS` tasks for each worker."""
    with tempfile.TemporaryDirectory() as folder:
        source = film(Path(folder) / "in.mkv", workers * TASKS)
        job = Job(source, Path(folder) / "out.mkv", Kind.VIDEO)
        options = RunOptions(video=VideoOptions(codec="ffv1", memory=False), jobs=workers)
        start = time.perf_counter()
        with StopSignals() as signals:
            executor = ProcessPoolExecutor(options, serve)
            (finished,) = executor.run([job], lambda event: None, signals)
        if isinstance(finished.result, ColorcliError):
            raise finished.result
        return time.perf_counter() - start


if __name__ == "__main__":
    one = timed(1)
    sys.stdout.write(f"1 worker: {one:.1f} s\n")
    for count in [int(word) for word in sys.argv[1:]] or [2, 4, 8]:
        seconds = timed(count)
        sys.stdout.write(
            f"{count} workers, {count} times the film: {seconds:.1f} s, {one / seconds:.3f} of linear\n"
        )
