"""Units of work for workers: whole jobs, or the tasks of a film.

A film is planned while its tasks are done. Images fill workers for which no task is ready. One process hands
out work and asks here; any number of workers, of any kind, may do it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from colorcli.errors import ColorcliError
from colorcli.events import Event, Progress, Sink, Started
from colorcli.jobs.execute import Context, context_for
from colorcli.jobs.job import Job, Kind
from colorcli.options import Outcome

if TYPE_CHECKING:
    from colorcli.video.prefetch import Prefetch
    from colorcli.video.tasks import VideoTask, VideoTasks

AHEAD = 4
"""Tasks planned ahead of the workers."""


@dataclass(frozen=True)
class Finished:
    """A job that is over."""

    job: Job
    result: Outcome | ColorcliError
    seconds: float


@dataclass(frozen=True, eq=False)
class FilmTask:
    """A task of a film."""

    job: Job
    task: "VideoTask"


Unit = Job | FilmTask
"""What a worker does at a time."""


@dataclass
class _Film:
    """A film that is being done."""

    job: Job
    stack: ExitStack
    tasks: "VideoTasks"
    planned: "Prefetch[VideoTask]"
    since: float = field(default_factory=time.monotonic)
    running: int = 0
    done: int = 0
    """Frames of finished tasks."""
    under_way: dict[int, int] = field(default_factory=dict)
    """Frames that are done of each running task, by its position."""
    error: ColorcliError | None = None

    def is_over(self) -> bool:
        """Whether nothing of it runs or will run."""
        return not self.running and (self.error is not None or self.planned.is_exhausted())


class Work:
    """Jobs and tasks in the order in which they are begun. Close it at the end."""

    def __init__(
        self,
        jobs: Iterator[Job],
        open_context: Callable[[], Context],
        report: Sink,
        tasks_at_once: int,
        is_whole: Callable[[Job], bool] = lambda job: job.kind is Kind.IMAGE,
    ) -> None:
        """`open_context`: called when the first film is planned; `tasks_at_once`: tasks of films at most;
        `is_whole`: whether a job is one unit."""
        self._is_whole = is_whole
        self._jobs, self._open_context, self._report = jobs, open_context, report
        self._tasks_at_once = tasks_at_once
        self._context: Context | None = None
        self._held: Job | None = None
        """A film that waits until the one before it is planned."""
        self._films: list[_Film] = []
        """The last one may still be in planning."""
        self._finished: list[Finished] = []
        self._has_jobs = True

    def next(self) -> Unit | None:
        """What a free worker does now; None if there is nothing for it at the moment."""
        if (task := self._next_task()) is not None:
            return task
        is_planning = bool(self._films) and not self._is_planned(self._films[-1])
        while (job := self._next_job()) is not None:
            if self._is_whole(job):
                self._report(Started(str(job.source), str(job.output)))
                return job
            if is_planning:
                self._held = job
                return None
            self._open(job)
            return None
        return None

    def is_over(self) -> bool:
        """Whether there is nothing left but what workers are doing."""
        return not (self._has_jobs or self._held or self._films or self._finished)

    def forward(self, unit: Unit, event: Event) -> None:
        """Pass an event on; progress of a task becomes progress of its film."""
        film = self._film_of(unit)
        if film is not None and isinstance(unit, FilmTask) and isinstance(event, Progress):
            film.under_way[unit.task.part.position] = event.done
            event = replace(event, done=film.done + sum(film.under_way.values()))
        self._report(event)

    def record(self, unit: Unit, result: Outcome | ColorcliError, seconds: float) -> None:
        """Record the result of a unit."""
        if isinstance(unit, Job):
            self._finished.append(Finished(unit, result, seconds))
            return
        film = self._film_of(unit)
        if film is not None:
            film.running -= 1
            film.under_way.pop(unit.task.part.position, None)
            film.done += unit.task.part.length or 0
            if isinstance(result, ColorcliError):
                film.error = film.error or result

    def results(self) -> Iterator[Finished]:
        """The jobs that are over by now, each once."""
        for film in [film for film in self._films if film.is_over()]:
            self._films.remove(film)
            self._finished.append(Finished(film.job, _end(film), time.monotonic() - film.since))
        while self._finished:
            yield self._finished.pop(0)

    def close(self) -> None:
        """Give up the films under way; `--resume` continues them."""
        for film in self._films:
            film.stack.close()
        self._films.clear()

    def _next_task(self) -> FilmTask | None:
        for film in self._films:
            if film.error is not None or sum(one.running for one in self._films) >= self._tasks_at_once:
                continue
            try:
                task = film.planned.poll()
            except ColorcliError as error:
                film.error = error
                continue
            if task is not None:
                film.running += 1
                return FilmTask(film.job, task)
        return None

    def _next_job(self) -> Job | None:
        job, self._held = self._held, None
        if job is None:
            job = next(self._jobs, None)
            self._has_jobs = job is not None
        return job

    def _is_planned(self, film: _Film) -> bool:
        return film.error is not None or film.planned.is_exhausted()

    def _open(self, job: Job) -> None:
        """Begin a film."""
        from colorcli.video.prefetch import Prefetch
        from colorcli.video.tasks import VideoTasks

        self._report(Started(str(job.source), str(job.output)))
        start = time.monotonic()
        self._context = self._context or self._open_context()
        with ExitStack() as stack:
            try:
                context = context_for(job, self._context, self._report)
                predictor, options = context.predictor, context.options
                tasks = stack.enter_context(
                    VideoTasks.open(job.source, job.output, options, predictor, self._report)
                )
            except ColorcliError as error:
                self._finished.append(Finished(job, error, time.monotonic() - start))
                return
            planned = stack.enter_context(Prefetch(tasks.plan(predictor, self._context.sources), AHEAD))
            film = _Film(job, stack.pop_all(), tasks, planned, start, done=tasks.finished_frames())
            self._films.append(film)

    def _film_of(self, unit: Unit) -> _Film | None:
        if isinstance(unit, Job):
            return None
        return next((film for film in self._films if film.job is unit.job), None)


def _end(film: _Film) -> Outcome | ColorcliError:
    """Finish a film's output."""
    with film.stack:
        if film.error is not None:
            return film.error
        try:
            return film.tasks.finish()
        except ColorcliError as error:
            return error
