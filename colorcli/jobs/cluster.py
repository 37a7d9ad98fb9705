"""Jobs on a Ray cluster (Ray core): actors with the model open, one for each core or GPU, do them in batches.

The driver plans, hands out batches and reports; actors hold nothing that is lost with them. What a dead node
was doing runs again elsewhere; a file that cannot be done is tried once. Sources and outputs are on a file
system that all nodes share; only events and results travel through Ray.
"""

import logging
import os
import socket
import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from colorcli.errors import ColorcliError, ExitCode, InputError, SetupError, needs_extra
from colorcli.events import Event, Progress, Sink, Started
from colorcli.files import WRITER, partial_path
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.executors import on_device, patience
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.leases import attempt_names
from colorcli.jobs.work import Finished
from colorcli.options import DEFAULT_MODELS, Outcome, RunOptions
from colorcli.signals import Interrupted, StopSignals

BATCH_SECONDS, LARGEST_BATCH, FIRST_BATCH = 30.0, 256, 2
"""How long a batch should take, and how many jobs it has at most and before times are known."""
WINDOW = 1000
"""Jobs that are looked at together, so that the longest begin first."""
TRIES = 3
"""How often a job may lose its actor."""
STRAGGLING = 3.0
"""A batch that has taken so many times the median is begun again by an idle actor once no jobs wait."""
SPARE = 4
"""Actors that are asked for beyond those that the cluster has room for: nodes that join find work, and an
autoscaler sees demand."""
TICK, PROGRESS_SECONDS, FLUSH_SECONDS = 0.2, 1.0, 0.5

_Message = tuple[Job, Event | Finished]


class ClusterWorker:
    """The actor: does batches of jobs."""

    def __init__(self, options: RunOptions, folder: str) -> None:
        """`folder`: what relative names are relative to."""
        if options.color.model is None:  # the included model, wherever it is installed here
            options = replace(options, color=replace(options.color, model=DEFAULT_MODELS))
        self._options, self._folder, self._stopped = options, folder, False

    def open(self) -> ColorcliError | None:
        """Open the model; why that cannot be done."""
        import cv2

        cv2.setNumThreads(1)
        try:
            os.chdir(self._folder)
            self._context = open_context(self._options, threads=1)
            self._open = self._context.__enter__()
        except OSError as error:
            cause = f"{socket.gethostname()} cannot open it ({error.strerror})"
            return SetupError(self._folder, cause, "share it with all nodes, and start there")
        except ColorcliError as error:
            return error
        return None

    def stop(self) -> None:
        """Finish the picture under way, give up a film, and begin no other."""
        self._stopped = True

    def run(self, batch: list[tuple[Job, str]]) -> Iterator[list[_Message]]:
        """Do jobs, each with the name for its partial file; yield events and results twice a second."""
        messages: list[_Message] = []
        flushed = time.monotonic()
        for job, writer in batch:
            if self._stopped:
                break
            os.environ[WRITER] = writer
            messages.append((job, Started(str(job.source), str(job.output))))
            for message in self._run_one(job):
                messages.append((job, message))
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    yield messages
                    messages, flushed = [], time.monotonic()
        yield messages

    def _run_one(self, job: Job) -> Iterator[Event | Finished]:
        messages: SimpleQueue[Event | Finished | None] = SimpleQueue()
        thread = Thread(target=self._execute, args=(job, messages))
        thread.start()
        while (message := messages.get()) is not None:
            yield message
        thread.join()

    def _execute(self, job: Job, messages: "SimpleQueue[Event | Finished | None]") -> None:
        start = reported = time.monotonic()

        def report(event: Event) -> None:
            nonlocal reported
            if self._stopped and job.kind is Kind.VIDEO:
                raise Interrupted(ExitCode.TERMINATED)
            if not isinstance(event, Progress) or time.monotonic() - reported > PROGRESS_SECONDS:
                reported = time.monotonic()
                messages.put(event)

        try:
            result: Outcome | ColorcliError = execute(job, self._open, report)
            messages.put(Finished(job, result, time.monotonic() - start))
        except ColorcliError as error:
            messages.put(Finished(job, error, time.monotonic() - start))
        except Interrupted:
            pass
        finally:
            messages.put(None)


@dataclass
class _Todo:
    """A job that waits or is under way."""

    job: Job
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
    """What it will give next: whether its model is open, or the events of its batch."""
    is_open: bool = False
    batch: list[_Todo] = field(default_factory=list)
    """What is not finished of its batch."""
    since: float = 0.0
    """When it began its batch."""
    heard: float = 0.0
    """When something last came from it."""
    doubled: bool = False
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
        finally:
            run.close()
        signals.check()


class _Run:
    """One run's actors and what they are at."""

    def __init__(self, ray: Any, options: RunOptions, jobs: Iterable[Job], report: Sink) -> None:
        self._ray, self._report = ray, report
        if options.color.model == DEFAULT_MODELS:
            options = replace(options, color=replace(options.color, model=None))  # type: ignore[arg-type]
        resources = _resources(ray, options)
        if "num_gpus" in resources:  # Ray shows each actor the one GPU that is its own
            options = on_device(options, options.color.device.partition(":")[0])
        self._remote = ray.remote(max_concurrency=2, max_restarts=0, **resources)(ClusterWorker)
        self._options = options
        self._jobs = _longest_first(jobs)
        self._waiting: deque[_Todo] = deque()
        self._finished: set[Job] = set()
        """Those of batches that are under way twice."""
        self._actors: list[_Actor] = []
        self._seconds: deque[float] = deque(maxlen=200)
        self._batch_seconds: deque[float] = deque(maxlen=200)
        self._stopped = False
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
            elif actor.batch and time.monotonic() - actor.heard > patience(actor.batch[0].job):
                self._ray.kill(actor.handle)
        if not self._stopped:
            self._hire()
        return any(actor.batch for actor in self._actors) or (bool(self._waiting) and not self._stopped)

    def collect(self) -> Iterator[Finished]:
        """What has come from the actors within a moment."""
        references = {actor.reference: actor for actor in self._actors if actor.reference is not None}
        if not references:
            return
        if self._ray.wait(list(references), num_returns=1, timeout=TICK)[0]:
            ready, _ = self._ray.wait(list(references), num_returns=len(references), timeout=0)
            for reference in ready:
                yield from self._receive(references[reference])

    def close(self) -> None:
        """End all actors, and remove what they leave half done."""
        for actor in self._actors:
            self._ray.kill(actor.handle)
        for actor in self._actors:
            for todo in actor.batch:
                _clean(todo)

    def _next_batch(self) -> list[_Todo]:
        if self._stopped:
            return []
        size = FIRST_BATCH
        if self._seconds:
            size = round(BATCH_SECONDS / max(statistics.fmean(self._seconds), 0.001))
        size = max(1, min(size, LARGEST_BATCH))
        if not self._waiting:
            ahead = size * max(1, sum(actor.is_open for actor in self._actors))
            self._waiting += map(_Todo, islice(self._jobs, ahead))
            # At the end of the jobs batches shrink, so that all actors end together.
        share = -(-len(self._waiting) // max(1, sum(actor.is_open for actor in self._actors)))
        size = min(size, share)
        if self._waiting and (self._waiting[0].lost or self._waiting[0].job.kind is Kind.VIDEO):
            size = 1  # what cost an actor goes alone
        return [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]

    def _straggling(self) -> list[_Todo]:
        """The rest of a batch that takes far longer than others, to be done a second time."""
        if self._stopped or len(self._batch_seconds) < 3:
            return []
        limit = STRAGGLING * statistics.median(self._batch_seconds)
        for actor in self._actors:
            is_late = time.monotonic() - actor.since > max(limit, 1.0)
            if is_late and actor.batch and not actor.doubled and actor.batch[0].job.kind is Kind.IMAGE:
                actor.doubled = True
                return list(actor.batch)
        return []

    def _begin(self, actor: _Actor, batch: list[_Todo]) -> None:
        for todo in batch:
            todo.attempts += 1
        actor.batch, actor.doubled = list(batch), any(todo.attempts > todo.lost + 1 for todo in batch)
        actor.since = actor.heard = time.monotonic()
        pairs = [(todo.job, todo.writers[-1]) for todo in batch]
        actor.reference = actor.handle.run.options(num_returns="streaming").remote(pairs)

    def _receive(self, actor: _Actor) -> Iterator[Finished]:
        """Take the next thing that an actor gives."""
        actor.heard = time.monotonic()
        try:
            if not actor.is_open:
                self._opened(actor, self._ray.get(actor.reference))
                return
            messages: list[_Message] = self._ray.get(next(actor.reference))
        except StopIteration:
            self._batch_seconds.append(time.monotonic() - actor.since)
            actor.batch, actor.reference = [], None
            return
        except self._ray.exceptions.RayError:
            yield from self._lose(actor)
            return
        for job, message in messages:
            if isinstance(message, Finished):
                yield from self._finish(actor, message)
            elif not self._is_known(actor, job, message):
                self._report(message)

    def _is_known(self, actor: _Actor, job: Job, event: Event) -> bool:
        """Whether an event is of a job that is finished, or has begun before."""
        is_again = isinstance(event, Started) and any(
            todo.attempts > 1 for todo in actor.batch if todo.job == job
        )
        return is_again or job in self._finished

    def _opened(self, actor: _Actor, error: ColorcliError | None) -> None:
        actor.reference, actor.is_open = None, error is None
        if error is not None:
            self._actors.remove(actor)
            self._broken += 1
            if not any(each.is_open for each in self._actors):
                raise error

    def _finish(self, actor: _Actor, finished: Finished) -> Iterator[Finished]:
        is_first = finished.job not in self._finished
        for each in self._actors if actor.doubled else [actor]:
            each.batch = [todo for todo in each.batch if todo.job != finished.job]
        if actor.doubled:
            self._finished.add(finished.job)
        self._seconds.append(finished.seconds)
        if is_first:
            yield finished

    def _lose(self, actor: _Actor) -> Iterator[Finished]:
        """An actor or its node is dead: its jobs wait again. One that has cost too many actors has failed."""
        self._actors.remove(actor)
        others = [todo for each in self._actors if actor.doubled for todo in each.batch]
        left = [todo for todo in actor.batch if todo not in others]
        if not left:
            return
        first, *others = left
        _clean(first)
        for todo in reversed(others):
            self._waiting.appendleft(todo)
        first.lost += 1
        if first.lost < TRIES:
            self._waiting.appendleft(first)
            return
        cause = f"crashed {TRIES} workers of the cluster"
        yield Finished(first.job, InputError(first.job.source, cause, "check the file"), 0.0)

    def _hire(self) -> None:
        """Keep a few actors asked for, as long as jobs wait for them."""
        if not self._waiting:
            self._waiting += map(_Todo, islice(self._jobs, 1))
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


def _clean(todo: _Todo) -> None:
    for writer in todo.writers:
        with suppress(OSError):
            partial_path(todo.job.output, writer).unlink(missing_ok=True)
