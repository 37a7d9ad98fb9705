"""Where jobs are done: in this process, or in worker processes. Both do any job, by `execute`."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Protocol

from colorcli.engines.device import spread
from colorcli.errors import ColorcliError, InputError
from colorcli.events import Note, Progress, Sink, Started
from colorcli.files import STDIO, partial_path
from colorcli.jobs import worker
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.process_pool import Died, Pool
from colorcli.jobs.resources import worker_count, worker_memory
from colorcli.options import Outcome, RunOptions
from colorcli.signals import StopSignals

PATIENCE = 180.0
"""Seconds without a message after which a worker counts as hanging."""
PATIENCE_PER_MEGABYTE = 2.0
TICK = 0.2
"""Seconds between checks of the clock and of signals."""


@dataclass(frozen=True)
class Finished:
    """A job that is over."""

    job: Job
    result: Outcome | ColorcliError
    seconds: float


class Executor(Protocol):
    """Does jobs, each once, in any order. Implement this to run jobs somewhere else, such as on a cluster."""

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """Yield every job when it is over; report `Started` before its work begins, and its events.

        Jobs may be many and are asked for as they are begun. Once a signal has been received none begins,
        and those under way are finished or, if `--resume` continues them, given up.

        Raises:
            ColorcliError: no job can be done at all, for want of the model or the device.
            Interrupted: a signal has ended the run early; no partial output remains.
        """
        ...


class DefaultExecutor:
    """Images in worker processes; then film and standard input or output in this process.

    A film keeps all cores busy by itself, and no other process has our standard input and output.
    """

    def __init__(self, options: RunOptions) -> None:
        self._pool, self._here = ProcessPoolExecutor(options), InProcessExecutor(options)

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """See `Executor.run`."""
        others: list[Job] = []

        def images() -> Iterator[Job]:
            for job in jobs:
                if job.kind is Kind.IMAGE and STDIO not in (job.source, job.output):
                    yield job
                else:
                    others.append(job)

        yield from self._pool.run(images(), report, signals)
        yield from self._here.run(others, report, signals)


class InProcessExecutor:
    """Does one job after another in this process."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """See `Executor.run`. A signal ends a job at once; `--resume` continues a film."""
        jobs = iter(jobs)
        first = next(jobs, None)
        if first is None:
            return
        # In a stabilized film the network runs rarely, beside other stages: more threads would only wait.
        stabilized = self._options.video.stabilize and first.kind is Kind.VIDEO
        options = on_device(self._options, spread(self._options.color.device)[0])
        with signals.at_once(), open_context(options, threads=1 if stabilized else None) as context:
            for job in chain([first], jobs):
                report(Started(str(job.source), str(job.output)))
                start = time.monotonic()
                result: Outcome | ColorcliError
                try:
                    result = execute(job, context, report)
                except ColorcliError as error:
                    signals.check()  # ffmpeg may have ended by the same signal
                    result = error
                yield Finished(job, result, time.monotonic() - start)


class ProcessPoolExecutor:
    """Does jobs in worker processes, which may crash or hang; standard input and output are not theirs."""

    def __init__(self, options: RunOptions, serve: worker.Serve = worker.serve) -> None:
        self._options, self._serve = options, serve

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """See `Executor.run`. A signal lets jobs under way finish; a second one ends them at once."""
        jobs = iter(jobs)
        first = list(islice(jobs, worker_count(self._options.jobs)))
        if not first:
            return
        size = len(first)
        waiting: Iterator[Job] = chain(first, jobs)
        memory, devices = worker_memory(size), spread(self._options.color.device)

        def arguments(slot: int) -> tuple[RunOptions, int]:
            return on_device(self._options, devices[slot % len(devices)]), memory

        with Pool[Job](size, self._serve, arguments) as pool:
            try:
                while True:
                    while pool.has_room() and not signals.received() and (job := next(waiting, None)):
                        report(Started(str(job.source), str(job.output)))
                        pool.submit(job, job, patience(job))
                    if not pool.busy:
                        break
                    for job, message in pool.messages(TICK):
                        finished = _finished(job, message, report)
                        if finished is not None:
                            pool.finish(job)
                            yield finished
            finally:
                for job in pool.abandon():
                    partial_path(job.output).unlink(missing_ok=True)
        signals.check()


def on_device(options: RunOptions, device: str) -> RunOptions:
    """The same options, but for one device."""
    return replace(options, color=replace(options.color, device=device))


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


def patience(job: Job) -> float:
    """Seconds for which a worker may be silent: more for a larger file."""
    try:
        size = job.source.stat().st_size
    except OSError:
        size = 0
    return PATIENCE + PATIENCE_PER_MEGABYTE * size / 1e6
