"""Executors: do jobs in this process or in worker processes. Each can do any job, by `execute`."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from colorcli.engines.device import spread
from colorcli.errors import ColorcliError, InputError
from colorcli.events import Note, Progress, ShotDone, Sink, Started
from colorcli.files import STDIO, partial_path
from colorcli.jobs import worker
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.process_pool import Died, Pool
from colorcli.jobs.resources import film_worker_count, worker_count, worker_memory
from colorcli.jobs.storage import url_of
from colorcli.jobs.work import FilmTask, Finished, Unit, Work
from colorcli.options import Outcome, RunOptions
from colorcli.signals import StopSignals

if TYPE_CHECKING:
    from colorcli.engines.shared import EngineConnections, SharedEngines

PATIENCE = 180.0
"""Seconds without a message after which a worker counts as hanging."""
PATIENCE_PER_MEGABYTE = 2.0
TICK = 0.2
"""Seconds between checks of the clock and of signals."""
PAUSE = 0.02
"""Seconds between checks for a task while no worker is busy."""


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
    """Images, and on many cores film, in worker processes; then all the rest in this process.

    In this process a film keeps about two cores busy. Only this process has standard input and output.
    """

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._pool, self._here = ProcessPoolExecutor(options), InProcessExecutor(options)

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """See `Executor.run`."""
        others: list[Job] = []

        def pooled() -> Iterator[Job]:
            for job in jobs:
                if self._is_pooled(job):
                    yield job
                else:
                    others.append(job)

        yield from self._pool.run(pooled(), report, signals)
        yield from self._here.run(others, report, signals)

    def _is_pooled(self, job: Job) -> bool:
        if STDIO in (job.source, job.output):
            return False
        if job.kind is Kind.IMAGE:
            return True
        if url_of(job.source) or url_of(job.output):
            return False
        from colorcli.video.tasks import can_be_split

        is_worth_it = film_worker_count(self._options.jobs) > 1 and not self._options.dry_run
        return is_worth_it and can_be_split(job.source, job.output, self._options)


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
    """Does jobs in worker processes, which may crash or hang and have no standard input and output."""

    def __init__(self, options: RunOptions, serve: worker.Serve = worker.serve) -> None:
        self._options, self._serve = options, serve

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """See `Executor.run`. A signal lets images under way finish; a second one ends them at once."""
        jobs = iter(jobs)
        first = list(islice(jobs, worker_count(self._options.jobs)))
        if not first:
            return
        has_film = any(job.kind is Kind.VIDEO for job in first)
        size = worker_count(self._options.jobs) if has_film else len(first)
        memory, devices = worker_memory(size), spread(self._options.color.device)

        with ExitStack() as stack:
            on_devices = [on_device(self._options, device) for device in devices]
            # One worker has nobody to share with.
            shared = [stack.enter_context(_shared(each)) if size > 1 else None for each in on_devices]

            def arguments(slot: int) -> tuple[RunOptions, int, "EngineConnections | None"]:
                place = slot % len(devices)
                return on_devices[place], memory, _connected(shared[place])

            pool = stack.enter_context(Pool[Unit](size, self._serve, arguments))
            work = Work(
                chain(first, jobs),
                lambda: stack.enter_context(open_context(on_devices[0], 1, _connected(shared[0]))),
                report,
                film_worker_count(self._options.jobs),
            )
            try:
                if has_film:
                    pool.start()  # planning the first task takes about as long
                yield from _do(work, pool, signals)
            finally:
                for unit in pool.abandon():
                    _clean(unit)
                work.close()
        signals.check()


def _shared(options: RunOptions) -> AbstractContextManager["SharedEngines | None"]:
    """The engines of a run's model, where they run on a card."""
    from colorcli import engines
    from colorcli.engines.shared import share_engines
    from colorcli.models.blend import parse_weights

    color = options.color
    files, _ = parse_weights(color.model)
    return share_engines(files, color.device, lambda path: engines.open(path, color.device))


def _connected(shared: "SharedEngines | None") -> "EngineConnections | None":
    return None if shared is None else shared.connect()


def on_device(options: RunOptions, device: str) -> RunOptions:
    """The same options, but for one device."""
    return replace(options, color=replace(options.color, device=device))


def _do(work: Work, pool: Pool[Unit], signals: StopSignals) -> Iterator[Finished]:
    """Have a pool do all work, or finish its images once a signal has been received."""
    while True:
        if signals.received():
            pool.abandon(lambda unit: isinstance(unit, FilmTask))
        yield from work.results()  # before more is begun: it may be the last thing that is wanted
        while pool.has_room() and not signals.received() and (unit := work.next()) is not None:
            pool.submit(unit, unit, patience(unit))
        if not pool.busy:
            if signals.received() or work.is_over():
                return
            time.sleep(PAUSE)
        for unit, message in pool.messages(TICK):
            if _handle(work, unit, message):
                pool.finish(unit)


def _handle(work: Work, unit: Unit, message: object) -> bool:
    """Handle a worker's message; returns whether its unit is finished."""
    match message:
        case worker.Result(result, seconds):
            work.record(unit, result, seconds)
            return True
        case ColorcliError():
            raise message
        case Died(reason):
            _clean(unit)
            work.record(unit, InputError(job_of(unit).source, reason, "check the file"), 0.0)
            return True
        case Progress() | Note() | ShotDone():
            work.forward(unit, message)
    return False


def job_of(unit: Unit) -> Job:
    """The job that a unit is, or belongs to."""
    return unit.job if isinstance(unit, FilmTask) else unit


def _clean(unit: Unit) -> None:
    """Remove what a worker leaves half done; a film's finished segments stay."""
    if isinstance(unit, Job):
        partial_path(unit.output).unlink(missing_ok=True)


def patience(unit: Unit) -> float:
    """Seconds for which a worker may be silent: more for a larger file."""
    try:
        size = job_of(unit).source.stat().st_size
    except OSError:
        size = 0
    return PATIENCE + PATIENCE_PER_MEGABYTE * size / 1e6
