"""A run: every planned job done and reported, and a summary at the end."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from colorcli.errors import ColorcliError, ExitCode
from colorcli.events import Done, Failed, Planned, Sink, Summary
from colorcli.jobs.executors import DefaultExecutor, Executor
from colorcli.jobs.job import Job
from colorcli.options import Outcome, RunOptions
from colorcli.signals import Interrupted, StopSignals

LOOK_AHEAD, LOOK_AHEAD_SECONDS = 1000, 5.0
"""How many jobs are looked for before work starts, and for how long."""


@dataclass
class _Tally:
    """The results so far."""

    report: Sink
    actions: Counter[str] = field(default_factory=Counter)
    codes: list[ExitCode] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    interrupted: ExitCode | None = None
    """The exit code of the signal that ended the run."""

    def add(self, job: Job, result: Outcome | ColorcliError, seconds: float = 0.0) -> None:
        """Count one job that is over, and report it."""
        source, output = str(job.source), str(job.output)
        if isinstance(result, ColorcliError):
            self.codes.append(ExitCode(result.exit_code))
            self.report(Failed.from_error(source, result))
        else:
            self.actions[result.action] += 1
            self.report(Done(source, output, result.action, round(seconds, 3), dict(result.facts)))

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
        """If everything failed for one kind of cause, its code; if only some failed, `SOME_FAILED`."""
        if self.interrupted:
            return self.interrupted
        if not self.codes:
            return ExitCode.OK
        alike = len(set(self.codes)) == 1 and not self.actions
        return self.codes[0] if alike else ExitCode.SOME_FAILED


def run_jobs(
    jobs: Iterable[Job], options: RunOptions, report: Sink, executor: Executor | None = None
) -> Summary:
    """Do all jobs and report each; one that fails does not stop the others, unless `options.fail_fast`.

    Jobs are asked for while they are done, so there may be millions. After a signal (`signals.StopSignals`)
    no further job starts and nothing partial remains.

    Raises:
        ColorcliError: no job can be done at all, for want of the model or the device.
    """
    tally = _Tally(report)
    with StopSignals() as signals:
        try:
            todo = _todo(_announced(jobs, report, signals), tally, options, signals)
            for finished in (executor or DefaultExecutor(options)).run(todo, report, signals):
                tally.add(finished.job, finished.result, finished.seconds)
            signals.check()
        except Interrupted as error:
            tally.interrupted = error.exit_code
        except KeyboardInterrupt:
            tally.interrupted = ExitCode.INTERRUPTED
        summary = tally.summary()
        report(summary)
    return summary


def _announced(jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Job]:
    """The jobs, after a look ahead that says how many they are; later for more than a look can count."""
    jobs = iter(jobs)
    ahead: list[Job] = []
    deadline = time.monotonic() + LOOK_AHEAD_SECONDS
    complete = False
    while not complete and len(ahead) < LOOK_AHEAD and time.monotonic() < deadline:
        signals.check()
        job = next(jobs, None)
        complete = job is None
        if job is not None:
            ahead.append(job)
    count = len(ahead)
    report(Planned(count, complete))
    yield from ahead
    if not complete:
        for job in jobs:
            count += 1
            yield job
        report(Planned(count))


def _todo(jobs: Iterator[Job], tally: _Tally, options: RunOptions, signals: StopSignals) -> Iterator[Job]:
    """The jobs that are to be done; the others are counted. Ends early when none may begin any more."""
    for job in jobs:
        if signals.received():
            return
        if job.problem is not None:
            tally.add(job, job.problem)
        elif job.skip:
            tally.add(job, Outcome("skipped"))
        else:
            yield job
        if options.fail_fast and tally.codes:
            return
