"""A run: every planned job done and reported, and a summary at the end."""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from colorcli.errors import ColorcliError, ExitCode
from colorcli.events import Done, Failed, Note, Planned, Sink, Summary
from colorcli.files import WRITER
from colorcli.jobs.executors import DefaultExecutor, Executor
from colorcli.jobs.job import Job
from colorcli.jobs.leases import Claim, Leases
from colorcli.jobs.state import RunState
from colorcli.jobs.work import Finished
from colorcli.options import Existing, Outcome, RunOptions
from colorcli.signals import Interrupted, StopSignals

LOOK_AHEAD, LOOK_AHEAD_SECONDS = 1000, 5.0
"""How many jobs are looked for before work starts, and for how long."""
UNKNOWN_OPTIONS = (
    "finished by an earlier run; a single file does not tell with which model and options (those of a folder "
    "are noted); --overwrite replaces it"
)
POLL = 1.0
"""Seconds between looks at the jobs that other processes are doing."""


@dataclass
class _Tally:
    """The results so far."""

    report: Sink
    state: RunState | None = None
    actions: Counter[str] = field(default_factory=Counter)
    codes: list[ExitCode] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    interrupted: ExitCode | None = None
    """The exit code of the signal that ended the run."""

    def add(self, job: Job, result: Outcome | ColorcliError, seconds: float = 0.0) -> None:
        """Count one job that is over, log and report it."""
        source, output = str(job.source), str(job.output)
        event: Done | Failed
        if isinstance(result, ColorcliError):
            self.codes.append(ExitCode(result.exit_code))
            event = Failed.from_error(source, result)
        else:
            self.actions[result.action] += 1
            event = Done(source, output, result.action, round(seconds, 3), dict(result.facts))
        if self.state is not None:
            self.state.add(job, event)
        self.report(event)

    def add_all(self, finished: Iterable[Finished]) -> None:
        for each in finished:
            self.add(each.job, each.result, each.seconds)

    def summary(self) -> Summary:
        return Summary(
            colorized=self.actions["colorized"],
            copied=self.actions["copied"],
            skipped=self.actions["skipped"],
            failed=len(self.codes),
            seconds=round(time.monotonic() - self.started, 3),
            exit_code=int(self.interrupted or exit_code_of(self.codes, any_done=bool(self.actions))),
        )


def exit_code_of(codes: Collection[ExitCode], *, any_done: bool) -> ExitCode:
    """If everything failed for one kind of cause, its code; if only some failed, `SOME_FAILED`."""
    if not codes:
        return ExitCode.OK
    alike = len(set(codes)) == 1 and not any_done
    return next(iter(codes)) if alike else ExitCode.SOME_FAILED


def run_jobs(
    jobs: Iterable[Job],
    options: RunOptions,
    report: Sink,
    executor: Executor | None = None,
    state: RunState | None = None,
    *,
    join: bool = False,
) -> Summary:
    """Do all jobs and report each; one that fails does not stop the others, unless `options.fail_fast`.

    Jobs are asked for while they are done, so there may be millions. After a signal (`signals.StopSignals`)
    no further job starts and nothing partial remains.

    Args:
        state: the state of the output folder, where results are logged.
        join: share the jobs with other runs that have the same `state.folder`.

    Raises:
        ColorcliError: no job can be done at all, for want of the model or the device.
    """
    tally = _Tally(report, state)
    executor = executor or DefaultExecutor(options)
    with StopSignals() as signals:
        todo = _todo(_announced(jobs, report, signals), tally, options, signals)
        try:
            if state is not None and join:
                _join(todo, tally, executor, state, signals, options)
            else:
                tally.add_all(executor.run(todo, report, signals))
            signals.check()
        except Interrupted as error:
            tally.interrupted = error.exit_code
        except KeyboardInterrupt:
            tally.interrupted = ExitCode.INTERRUPTED
        summary = tally.summary()
        if state is not None:
            state.end(summary)
        report(summary)
    return summary


def _join(
    jobs: Iterator[Job],
    tally: _Tally,
    executor: Executor,
    state: RunState,
    signals: StopSignals,
    options: RunOptions,
) -> None:
    """Do the jobs that no other process does; then wait for theirs, in case one of them dies."""
    leases = Leases(state)
    os.environ[WRITER] = leases.writer
    busy: list[Job] = []

    def claimed(jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            claim = leases.claim(job)
            if claim is Claim.BUSY:
                busy.append(job)
            elif claim is Claim.MINE:
                if job.output.exists():  # done since it was found
                    leases.release(job, failed=False)
                else:
                    yield job

    try:
        while True:
            for finished in executor.run(claimed(jobs), tally.report, signals):
                tally.add_all([finished])
                leases.release(finished.job, failed=isinstance(finished.result, ColorcliError))
            if not busy:
                return
            time.sleep(POLL)
            signals.check()
            jobs, busy = iter(busy), []
    finally:
        leases.release_all()
        del os.environ[WRITER]


def _announced(jobs: Iterable[Job], report: Sink, signals: StopSignals) -> Iterator[Job]:
    """The jobs, after reporting their number: at first of those found by a short look ahead, then of all."""
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
            if tally.state is None and options.existing is Existing.RESUME:
                tally.report(Note(str(job.source), UNKNOWN_OPTIONS))
            tally.add(job, Outcome("skipped"))
        else:
            if tally.state is not None:
                tally.state.begin_outputs()
            yield job
        if options.fail_fast and tally.codes:
            return
