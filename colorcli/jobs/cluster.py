"""Jobs on a Ray cluster (Ray core): actors with the model open, one for each core or GPU, do them in batches.

The driver plans, hands out batches and reports; actors hold no state that could be lost. The work of a dead
node runs again elsewhere; a file that cannot be done is tried once. Sources and outputs are on a file
system that all nodes share; only events and results travel through Ray.
"""

import logging
import os
import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

from colorcli.errors import ColorcliError, InputError, SetupError, needs_extra
from colorcli.events import Sink
from colorcli.files import WRITER, partial_path
from colorcli.jobs.cluster_worker import GRACE, ClusterWorker, Message
from colorcli.jobs.execute import open_context
from colorcli.jobs.executors import job_of, on_device, patience
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.leases import attempt_names
from colorcli.jobs.work import FilmTask, Finished, Unit, Work
from colorcli.jobs.worker import Result
from colorcli.options import DEFAULT_MODELS, RunOptions
from colorcli.signals import StopSignals

BATCH_SECONDS, LARGEST_BATCH, FIRST_BATCH = 30.0, 256, 2
"""How long a batch should take, and how many jobs it has at most and before times are known."""
WINDOW = 1000
"""Jobs that are looked at together, so that the longest begin first."""
TRIES = 3
"""How often a job may lose its actor."""
STRAGGLING = 3.0
"""Once no jobs wait, an idle actor repeats a batch that has taken this many times the median."""
SPARE = 4
"""Actors requested beyond those that the cluster has room for: nodes that join find work, and an autoscaler
sees demand."""
MOST_TASKS = 10_000
"""Tasks of films that may be under way: in effect no limit but the number of actors."""
TICK = 0.2
"""Seconds to wait for messages before looking at signals and clocks again."""


@dataclass
class _Todo:
    """A unit of work that waits or is under way."""

    number: int
    unit: Unit
    attempts: int = 0
    lost: int = 0
    """How often its actor died."""

    @property
    def writers(self) -> list[str]:
        """What its partial files may be named after, one name for each attempt."""
        return attempt_names(os.environ.get(WRITER, ""))[: self.attempts]


@dataclass
class _Actor:
    handle: Any
    reference: Any
    """Ray's reference to its next answer: whether its model is open, or the events of its batch."""
    is_open: bool = False
    batch: list[_Todo] = field(default_factory=list)
    """The unfinished units of its batch."""
    since: float = 0.0
    """When it began its batch, by the monotonic clock."""
    last_message: float = 0.0
    """When its last message came, by the same clock."""
    duplicated: bool = False
    """Whether another actor has the same batch."""


class ClusterExecutor:
    """Does jobs on a Ray cluster; see `Executor`."""

    def __init__(self, options: RunOptions, address: str) -> None:
        """`address`: `auto` or `HOST:PORT`, as Ray knows it; this machine is a node of the cluster.

        Raises:
            SetupError: Ray is not installed, or there is no such cluster.
        """
        self._options = options
        with needs_extra("--cluster", "cluster"):
            import ray
        self._ray = ray
        # Ray prints that a node died to standard output, in the midst of --json. No public option of 2.60
        # turns that off: neither log_to_driver nor logging_level reaches its `listen_error_messages`.
        ray._private.worker._worker_logs_enabled = False
        if address.startswith("ray://"):
            remedy = "run colorcli on a node, with --cluster auto"
            raise SetupError(address, "Ray's client protocol carries no streams of results", remedy)
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, namespace="colorcli")
        except (ConnectionError, ValueError, RuntimeError) as error:
            cause = f"no Ray cluster ({str(error).splitlines()[0]})"
            raise SetupError(f"--cluster {address}", cause, "start one: ray start --head") from error

    def run(self, jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Finished]:
        """See `Executor.run`. A signal lets pictures under way finish and ends films."""
        run = _Run(self._ray, self._options, jobs, report)
        try:
            while run.hand_out(signals):
                yield from run.collect()
            yield from run.results()
        finally:
            run.close()
        signals.check()


class _Run:
    """One run's actors and their work."""

    def __init__(self, ray: Any, options: RunOptions, jobs: Iterable[Job], report: Sink) -> None:
        self._ray, self._stack = ray, ExitStack()
        device = options.color.device
        here = on_device(options, "auto" if ":" in device else device)  # films are planned in this process
        self._work = Work(
            self._unless_failed(_longest_first(jobs)),
            lambda: self._stack.enter_context(open_context(here, threads=1)),
            report,
            MOST_TASKS,
            lambda job: job.kind is Kind.IMAGE or not _can_be_split(job, options),
        )
        if options.color.model == DEFAULT_MODELS:
            options = replace(options, color=replace(options.color, model=[]))  # each node has its own
        resources = _resources(ray, options)
        if "num_gpus" in resources:  # Ray shows each actor the one GPU that is its own
            options = on_device(options, options.color.device.partition(":")[0])
        self._remote = ray.remote(max_concurrency=2, max_restarts=0, **resources)(ClusterWorker)
        self._options = options
        self._waiting: deque[_Todo] = deque()
        self._numbers = count()
        self._finished: set[int] = set()
        """Numbers of finished units of batches that are under way twice."""
        self._actors: list[_Actor] = []
        self._seconds: deque[float] = deque(maxlen=200)
        self._batch_seconds: deque[float] = deque(maxlen=200)
        self._stopped = self._failed = False
        """Whether a signal came; whether a job failed with --fail-fast."""
        self._broken = 0
        """Actors that could not open the model."""

    def hand_out(self, signals: StopSignals) -> bool:
        """Give idle actors batches; False when everything is finished."""
        if signals.received():
            self._stop()
        for actor in self._actors:
            if actor.is_open and actor.reference is None:
                batch = self._next_batch() or self._straggling()
                if batch:
                    self._begin(actor, batch)
            elif actor.batch and time.monotonic() - actor.last_message > patience(actor.batch[0].unit):
                self._ray.kill(actor.handle)
        if not self._stopped:
            self._start_actors()
        if any(actor.batch for actor in self._actors):
            return True
        return not self._stopped and (bool(self._waiting) or not self._work.is_over())

    def collect(self) -> Iterator[Finished]:
        """Wait a moment for messages from the actors; the jobs that are over by then."""
        references = {actor.reference: actor for actor in self._actors if actor.reference is not None}
        if not references:
            time.sleep(TICK)
        elif self._ray.wait(list(references), num_returns=1, timeout=TICK)[0]:
            ready, _ = self._ray.wait(list(references), num_returns=len(references), timeout=0)
            for reference in ready:
                self._receive(references[reference])
        yield from self.results()

    def results(self) -> Iterator[Finished]:
        """The jobs that are over by now. With --fail-fast none begins after a failed one."""
        for finished in self._work.results():
            yield finished
            if self._options.fail_fast and isinstance(finished.result, ColorcliError):
                self._failed = True
                self._waiting = deque(todo for todo in self._waiting if isinstance(todo.unit, FilmTask))

    def close(self) -> None:
        """End all actors, and remove what they leave half done."""
        late = [actor for actor in self._actors if actor.duplicated and actor.reference is not None]
        if late:  # others have done their work: they must not leave half of it
            stopped = [actor.handle.stop.remote() for actor in late]
            self._ray.wait(stopped, num_returns=len(stopped), timeout=GRACE)
        for actor in self._actors:
            self._ray.kill(actor.handle)
        for actor in self._actors:
            for todo in actor.batch:
                _clean(todo)
        self._work.close()
        self._stack.close()

    def _unless_failed(self, jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            if self._failed:
                return
            yield job

    def _look_ahead(self, units: int) -> None:
        """Have this many units waiting, as far as there are any at the moment."""
        while len(self._waiting) < units and (unit := self._work.next()) is not None:
            self._waiting.append(_Todo(next(self._numbers), unit))

    def _next_batch(self) -> list[_Todo]:
        if self._stopped:
            return []
        size = FIRST_BATCH
        if self._seconds and not self._options.fail_fast:  # what is in a batch has begun
            size = round(BATCH_SECONDS / max(statistics.fmean(self._seconds), 0.001))
        size = max(1, min(size, LARGEST_BATCH))
        workers = max(1, sum(actor.is_open for actor in self._actors))
        if not self._waiting:
            self._look_ahead(size * workers)
        size = min(size, -(-len(self._waiting) // workers))  # so that all actors end at about the same time
        batch: list[_Todo] = []
        while self._waiting and len(batch) < size:
            todo = self._waiting[0]
            goes_alone = todo.lost or job_of(todo.unit).kind is Kind.VIDEO
            if goes_alone and batch:
                break
            batch.append(self._waiting.popleft())
            if goes_alone:
                break
        return batch

    def _straggling(self) -> list[_Todo]:
        """The unfinished rest of a batch that takes far longer than others, to be done a second time."""
        if self._stopped or len(self._batch_seconds) < 3:
            return []
        limit = max(STRAGGLING * statistics.median(self._batch_seconds), 1.0)
        for actor in self._actors:
            is_late = time.monotonic() - actor.since > limit
            if is_late and not actor.duplicated and actor.batch and _is_image(actor.batch[0].unit):
                actor.duplicated = True
                return list(actor.batch)
        return []

    def _begin(self, actor: _Actor, batch: list[_Todo]) -> None:
        for todo in batch:
            todo.attempts += 1
        actor.batch, actor.duplicated = list(batch), any(todo.attempts > todo.lost + 1 for todo in batch)
        actor.since = actor.last_message = time.monotonic()
        sent = [(todo.number, todo.unit, todo.writers[-1]) for todo in batch]
        actor.reference = actor.handle.run.options(num_returns="streaming").remote(sent)

    def _receive(self, actor: _Actor) -> None:
        """Take the next answer of an actor."""
        actor.last_message = time.monotonic()
        try:
            if not actor.is_open:
                self._opened(actor, self._ray.get(actor.reference))
                return
            messages: list[Message] = self._ray.get(next(actor.reference))
        except StopIteration:
            self._batch_seconds.append(time.monotonic() - actor.since)
            actor.batch, actor.reference = [], None
            return
        except self._ray.exceptions.RayError:
            self._lose(actor)
            return
        for number, message in messages:
            todo = next((todo for todo in actor.batch if todo.number == number), None)
            if todo is None or number in self._finished:
                continue
            if isinstance(message, Result):
                self._finish(actor, todo, message)
            else:
                self._work.forward(todo.unit, message)

    def _opened(self, actor: _Actor, error: ColorcliError | None) -> None:
        actor.reference, actor.is_open = None, error is None
        if error is not None:
            self._actors.remove(actor)
            self._broken += 1
            if not any(each.is_open for each in self._actors):
                raise error

    def _finish(self, actor: _Actor, todo: _Todo, result: Result) -> None:
        for each in self._actors if actor.duplicated else [actor]:
            each.batch = [one for one in each.batch if one is not todo]
        if actor.duplicated:
            self._finished.add(todo.number)
        if isinstance(todo.unit, Job):
            self._seconds.append(result.seconds)
        self._work.record(todo.unit, result.outcome, result.seconds)

    def _lose(self, actor: _Actor) -> None:
        """An actor or its node is dead: its work waits again; what has lost `TRIES` actors has failed."""
        self._actors.remove(actor)
        others = [todo for each in self._actors if actor.duplicated for todo in each.batch]
        left = [todo for todo in actor.batch if todo not in others]
        if not left:
            return
        first = left[0]
        _clean(first)
        first.lost += 1
        if first.lost == TRIES:
            cause = f"crashed {TRIES} workers of the cluster"
            error = InputError(job_of(first.unit).source, cause, "check the file")
            self._work.record(left.pop(0).unit, error, 0.0)
        self._waiting.extendleft(reversed(left))

    def _start_actors(self) -> None:
        """Keep `SPARE` actors requested as long as work is waiting."""
        self._look_ahead(1)
        if self._waiting and self._broken < SPARE:
            for _ in range(SPARE - sum(not actor.is_open for actor in self._actors)):
                handle = self._remote.remote(self._options, str(Path.cwd()))
                self._actors.append(_Actor(handle, handle.open.remote()))

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            for actor in self._actors:
                if actor.batch:
                    actor.handle.stop.remote()


def _can_be_split(job: Job, options: RunOptions) -> bool:
    from colorcli.video.tasks import can_be_split

    return can_be_split(job.source, job.output, options)


def _resources(ray: Any, options: RunOptions) -> dict[str, float]:
    """What an actor takes: a GPU where the device asks for one, else a core."""
    kind = options.color.device.partition(":")[0]
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    return (
        {"num_gpus": 1} if kind in ("cuda", "tensorrt") or (kind == "auto" and has_gpus) else {"num_cpus": 1}
    )


def _longest_first(jobs: Iterable[Job]) -> Iterator[Job]:
    """Films before pictures, large files before small ones, among those looked at together."""
    jobs = iter(jobs)
    while window := list(islice(jobs, WINDOW)):
        yield from sorted(window, key=_weight, reverse=True)


def _weight(job: Job) -> tuple[bool, int]:
    with suppress(OSError):
        return job.kind is Kind.VIDEO, job.source.stat().st_size
    return False, 0


def _is_image(unit: Unit) -> bool:
    return job_of(unit).kind is Kind.IMAGE


def _clean(todo: _Todo) -> None:
    """Remove what dead actors leave half done; a film's finished segments stay."""
    if isinstance(todo.unit, FilmTask):
        return
    for writer in todo.writers:
        with suppress(OSError):
            partial_path(todo.unit.output, writer).unlink(missing_ok=True)
