"""A run: every planned job done and reported, and a summary at the end."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from colorcli.errors import ColorcliError, ExitCode
from colorcli.events import Done, Failed, Planned, Sink, Summary
from colorcli.jobs.executors import Executor, assign
from colorcli.jobs.job import Job
from colorcli.options import Outcome, RunOptions


@dataclass
class _Tally:
    """The results so far."""

    report: Sink
    actions: Counter[str] = field(default_factory=Counter)
    codes: list[ExitCode] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    interrupted: bool = False

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
            return ExitCode.INTERRUPTED
        if not self.codes:
            return ExitCode.OK
        alike = len(set(self.codes)) == 1 and not self.actions
        return self.codes[0] if alike else ExitCode.SOME_FAILED


def run_jobs(
    jobs: Sequence[Job], options: RunOptions, report: Sink, executor: Executor | None = None
) -> Summary:
    """Do all jobs and report each; one that fails does not stop the others, unless `options.fail_fast`.

    `executor` does all of them; by default they are assigned by kind (`executors.assign`). After Ctrl-C no
    further job starts and nothing partial remains.

    Raises:
        ColorcliError: no job can be done at all, for want of the model or the device.
    """
    tally = _Tally(report)
    report(Planned(len(jobs)))
    todo = []
    for job in jobs:
        if job.problem is not None:
            tally.add(job, job.problem)
        elif job.skip:
            tally.add(job, Outcome("skipped"))
        else:
            todo.append(job)
    try:
        for each, assigned in [(executor, todo)] if executor else assign(todo, options):
            for finished in each.run(assigned, report, lambda: options.fail_fast and bool(tally.codes)):
                tally.add(finished.job, finished.result, finished.seconds)
    except KeyboardInterrupt:
        tally.interrupted = True
    summary = tally.summary()
    report(summary)
    return summary
