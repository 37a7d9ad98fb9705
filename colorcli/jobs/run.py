"""Planned jobs, done: stills in a pool of workers, films one after another; whatever happens is told."""

import signal
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from colorcli.errors import ColorcliError, ExitCode, InputError
from colorcli.events import Done, Failed, Planned, Progress, Sink, Started, Summary
from colorcli.files import STDIO, partial_path
from colorcli.jobs import worker as still_worker
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.process_pool import Died, Pool
from colorcli.jobs.resources import worker_count, worker_memory
from colorcli.jobs.stdio import Places, spooled, to_stdout
from colorcli.options import Outcome, RunOptions

PATIENCE = 180.0
"""Seconds without a sign of life after which a picture counts as hanging its decoder."""
PATIENCE_PER_MEGABYTE = 2.0
TICK = 0.2
"""Seconds between looks at the clock and at Ctrl-C."""


@dataclass
class _Tally:
    """What came of the jobs so far."""

    report: Sink
    actions: Counter[str] = field(default_factory=Counter)
    codes: list[ExitCode] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    interrupted: bool = False

    def done(self, job: Job, outcome: Outcome, seconds: float = 0.0) -> None:
        self.actions[outcome.action] += 1
        facts = dict(outcome.facts)
        self.report(Done(str(job.source), str(job.output), outcome.action, round(seconds, 3), facts))

    def failed(self, job: Job, error: ColorcliError) -> None:
        self.codes.append(ExitCode(error.exit_code))
        self.report(Failed.from_error(str(job.source), error))

    def summary(self) -> Summary:
        return Summary(
            colorized=self.actions["colorized"],
            copied=self.actions["copied"],
            skipped=self.actions["skipped"],
            failed=len(self.codes),
            seconds=round(time.monotonic() - self.started, 3),
            exit_code=int(self._exit_code()),
        )

    def _exit_code(self) -> ExitCode:
        """One cause for everything is that cause's code; anything mixed is `SOME_FAILED`."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if not self.codes:
            return ExitCode.OK
        alike = len(set(self.codes)) == 1 and not self.actions
        return self.codes[0] if alike else ExitCode.SOME_FAILED


def run_jobs(jobs: list[Job], options: RunOptions, report: Sink) -> Summary:
    """Do all jobs, reporting each; a failing one does not keep the others from being done.

    Ctrl-C lets the stills under way finish, a second one stops at once; nothing partial stays either way.

    Raises:
        ColorcliError: no worker can work at all (the model or the device is not to be had).
    """
    tally = _Tally(report)
    report(Planned(len(jobs)))
    todo = [job for job in jobs if not _settled(job, tally)]
    stills = [job for job in todo if job.kind is Kind.IMAGE]
    films = [job for job in todo if job.kind is not Kind.IMAGE]
    if not (options.fail_fast and tally.codes):
        _run_stills(stills, options, tally)
    for job in films:
        if tally.interrupted or (options.fail_fast and tally.codes):
            break
        _run_film(job, options, tally)
    summary = tally.summary()
    report(summary)
    return summary


def _settled(job: Job, tally: _Tally) -> bool:
    """Report a job of which the plan already knows what becomes."""
    if job.problem is not None:
        tally.failed(job, job.problem)
    elif job.skip:
        tally.done(job, Outcome("skipped"))
    return job.problem is not None or job.skip


def _run_film(job: Job, options: RunOptions, tally: _Tally) -> None:
    from colorcli.colorizer.color_sources import ColorSources
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.models import open_model
    from colorcli.video.colorize import colorize_video

    tally.report(Started(str(job.source), str(job.output)))
    start = time.monotonic()
    try:
        # The network runs seldom and beside the other stages: more threads would wait more than they work.
        threads = 1 if options.video.stabilize else None
        color = options.color
        with open_model(color.model, color.device, threads) as model:
            predictor = ChromaPredictor(model, size=color.size, saturation=color.saturation)
            sources = ColorSources.load(color)
            outcome = colorize_video(job.source, job.output, options, predictor, sources, tally.report)
    except ColorcliError as error:
        tally.failed(job, error)
    except KeyboardInterrupt:
        tally.interrupted = True
    except Exception as error:  # whatever a codec or a disk comes up with, the other films have to be done
        cause = f"failed unexpectedly ({type(error).__name__}: {error})"
        tally.failed(
            job, InputError(job.source, cause, "check disk and film; if both are sound, report this")
        )
    else:
        tally.done(job, outcome, time.monotonic() - start)


def _run_stills(jobs: list[Job], options: RunOptions, tally: _Tally) -> None:
    if not jobs:
        return
    size = worker_count(len(jobs), options.jobs)
    with (
        spooled(jobs, options.stream_format) as places,
        _interruptible(tally),
        Pool[Job](size, still_worker.serve, (options, worker_memory(size))) as pool,
    ):
        waiting = deque(jobs)
        try:
            while waiting or pool.busy:
                if tally.interrupted or (options.fail_fast and tally.codes):
                    waiting.clear()
                while waiting and pool.has_room():
                    job = waiting.popleft()
                    tally.report(Started(str(job.source), str(job.output)))
                    pool.submit(job, places.get(job, (job.source, job.output)), _patience(job))
                for job, message in pool.messages(TICK):
                    _heard(job, message, pool, tally, places)
        except KeyboardInterrupt:
            pass
        finally:
            for job in pool.abandon():
                _, output = places.get(job, (job.source, job.output))
                partial_path(output).unlink(missing_ok=True)


def _heard(job: Job, message: object, pool: Pool[Job], tally: _Tally, places: Places) -> None:
    """Act on one message of a worker about its job."""
    _, output = places.get(job, (job.source, job.output))
    match message:
        case still_worker.Pulse(done, total):
            tally.report(Progress(str(job.source), done, total))
        case still_worker.Result(Outcome() as outcome, seconds):
            pool.finish(job)
            try:
                if job.output == STDIO:
                    to_stdout(output)
                tally.done(job, outcome, seconds)
            except BrokenPipeError:
                raise
            except OSError as error:
                tally.failed(
                    job, InputError("standard output", f"cannot be written ({error.strerror})", "check it")
                )
        case still_worker.Result(ColorcliError() as error, _):
            pool.finish(job)
            tally.failed(job, error)
        case ColorcliError():
            raise message
        case Died(reason):
            partial_path(output).unlink(missing_ok=True)
            tally.failed(job, InputError(job.source, reason, "check the file"))


def _patience(job: Job) -> float:
    """Seconds that a worker may be silent over a picture: the larger the file, the more."""
    try:
        size = job.source.stat().st_size if job.source != STDIO else 0
    except OSError:
        size = 0
    return PATIENCE + PATIENCE_PER_MEGABYTE * size / 1e6


@contextmanager
def _interruptible(tally: _Tally) -> Iterator[None]:
    """Ctrl-C asks for an end, Ctrl-C again is an exception."""

    def stop(*_: object) -> None:
        if tally.interrupted:
            raise KeyboardInterrupt
        tally.interrupted = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
