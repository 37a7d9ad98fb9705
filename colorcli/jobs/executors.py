"""Where jobs are done: in this process, or in worker processes. Both do any job, by `execute`."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from colorcli.errors import ColorcliError, InputError
from colorcli.events import Note, Progress, Sink, Started
from colorcli.files import STDIO, partial_path
from colorcli.jobs import worker
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.process_pool import Died, Pool
from colorcli.jobs.resources import worker_count, worker_memory
from colorcli.options import Outcome, RunOptions

PATIENCE = 180.0
"""Seconds without a message after which a worker counts as hanging."""
PATIENCE_PER_MEGABYTE = 2.0
TICK = 0.2
"""Seconds between checks of the clock and of Ctrl-C."""


@dataclass(frozen=True)
class Finished:
    """A job that is over."""

    job: Job
    result: Outcome | ColorcliError
    seconds: float


class Executor(Protocol):
    """Does jobs, each once, in any order. Implement this to run jobs somewhere else, such as on a cluster."""

    def run(self, jobs: Sequence[Job], report: Sink, stop: Callable[[], bool]) -> Iterator[Finished]:
        """Yield every job when it is over; report `Started` before its work begins, and its events.

        No job is started once `stop()` is true; those under way are finished.

        Raises:
            ColorcliError: no job can be done at all, for want of the model or the device.
            KeyboardInterrupt: Ctrl-C has ended the run; no partial output remains.
        """
        ...


def assign(jobs: Sequence[Job], options: RunOptions) -> list[tuple[Executor, list[Job]]]:
    """The default: images in worker processes; film and standard input or output in this process.

    A film keeps all cores busy by itself, and no other process has our standard input and output.
    """
    pooled = [job for job in jobs if job.kind is Kind.IMAGE and STDIO not in (job.source, job.output)]
    others = [job for job in jobs if job not in pooled]
    return [(ProcessPoolExecutor(options), pooled), (InProcessExecutor(options), others)]


class InProcessExecutor:
    """Does one job after another in this process."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options

    def run(self, jobs: Sequence[Job], report: Sink, stop: Callable[[], bool]) -> Iterator[Finished]:
        """See `Executor.run`. Ctrl-C ends a film at once; `--resume` continues it."""
        if not jobs or stop():
            return
        # In a stabilized film the network runs rarely, beside other stages: more threads would only wait.
        stabilized = self._options.video.stabilize and any(job.kind is Kind.VIDEO for job in jobs)
        with open_context(self._options, threads=1 if stabilized else None) as context:
            for job in jobs:
                if stop():
                    return
                report(Started(str(job.source), str(job.output)))
                start = time.monotonic()
                result: Outcome | ColorcliError
                try:
                    result = execute(job, context, report)
                except ColorcliError as error:
                    result = error
                yield Finished(job, result, time.monotonic() - start)


class ProcessPoolExecutor:
    """Does jobs in worker processes, which may crash or hang; standard input and output are not theirs."""

    def __init__(self, options: RunOptions, serve: worker.Serve = worker.serve) -> None:
        self._options, self._serve = options, serve

    def run(self, jobs: Sequence[Job], report: Sink, stop: Callable[[], bool]) -> Iterator[Finished]:
        """See `Executor.run`. Ctrl-C lets jobs under way finish; a second one ends them at once."""
        if not jobs or stop():
            return
        size = worker_count(len(jobs), self._options.jobs)
        waiting = deque(jobs)
        with (
            _deferred_interrupt() as interrupted,
            Pool[Job](size, self._serve, (self._options, worker_memory(size))) as pool,
        ):
            try:
                while waiting or pool.busy:
                    if interrupted() or stop():
                        waiting.clear()
                    while waiting and pool.has_room():
                        job = waiting.popleft()
                        report(Started(str(job.source), str(job.output)))
                        pool.submit(job, job, _patience(job))
                    for job, message in pool.messages(TICK):
                        finished = _finished(job, message, report)
                        if finished is not None:
                            pool.finish(job)
                            yield finished
            finally:
                for job in pool.abandon():
                    partial_path(job.output).unlink(missing_ok=True)
            if interrupted():
                raise KeyboardInterrupt


def _finished(job: Job, message: object, report: Sink) -> Finished | None:
    """What a worker's message says about its job; events are passed on."""
    match message:
        case worker.Result(result, seconds):
            return Finished(job, result, seconds)
        case ColorcliError():
            raise message
        case Died(reason):
            partial_path(job.output).unlink(missing_ok=True)
            return Finished(job, InputError(job.source, reason, "check the file"), 0.0)
        case Progress() | Note():
            report(message)
    return None


def _patience(job: Job) -> float:
    """Seconds for which a worker may be silent: more for a larger file."""
    try:
        size = job.source.stat().st_size
    except OSError:
        size = 0
    return PATIENCE + PATIENCE_PER_MEGABYTE * size / 1e6


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed instead of raising; the second press raises KeyboardInterrupt."""
    pressed = False

    def on_signal(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
