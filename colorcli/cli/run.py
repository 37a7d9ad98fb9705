"""`colorcli run`: flags to options, inputs to jobs, jobs to a run."""

import codecs
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import UsageError
from colorcli.events import Done, Failed, Planned, Sink, Started
from colorcli.files import STDIO, check_writable
from colorcli.jobs.executors import Executor
from colorcli.jobs.identity import identity_of
from colorcli.jobs.plan import Plan, make_plan
from colorcli.jobs.shard import Shard
from colorcli.jobs.state import RunState
from colorcli.jobs.walk import WHOLE
from colorcli.options import Existing, Flag, Json, RunOptions


@dataclass(frozen=True)
class Batch:
    """What concerns the command line alone."""

    PANEL: ClassVar = "Batch"

    skip_existing: Annotated[bool, Flag("Keep existing outputs.")] = False
    overwrite: Annotated[bool, Flag("Replace existing outputs.")] = False
    resume: Annotated[bool, Flag("Continue an interrupted run.")] = False
    force_resume: Annotated[bool, Flag("Continue one that had another model or other options.")] = False
    shard: Annotated[
        str | None, Flag("Do one part of N: K/N, or auto in a Slurm or Batch array.", metavar="K/N")
    ] = None
    join: Annotated[bool, Flag("Share the work with other runs into the same folder.")] = False
    cluster: Annotated[str | None, Flag("Do it on a Ray cluster: auto or HOST:PORT.", metavar="ADDRESS")] = (
        None
    )
    dry_run: Annotated[bool, Flag("Show what would be done.")] = False
    report: Annotated[Path | None, Flag("HTML page of all results and failures.", metavar="FILE.html")] = None
    json: Json = False
    quiet: Annotated[bool, Flag("Errors only.", short="-q")] = False

    @property
    def is_shared(self) -> bool:
        """Whether other runs into the same folder may do the same jobs."""
        return self.join or self.cluster is not None

    @property
    def existing(self) -> Existing:
        """What the three flags about existing outputs ask for.

        Raises:
            UsageError: more than one of them is given.
        """
        flags = {
            Existing.SKIP: self.skip_existing,
            Existing.OVERWRITE: self.overwrite,
            Existing.RESUME: self.resume or self.force_resume or self.is_shared,
        }
        chosen = [existing for existing, given in flags.items() if given]
        if len(chosen) > 1:
            cause = "--skip-existing, --overwrite and --resume (or --join, --cluster) exclude each other"
            raise UsageError("colorcli run", cause, "give one of them")
        return chosen[0] if chosen else Existing.REFUSE


@with_options
def run(
    inputs: Annotated[
        list[str] | None,
        Argument(metavar="INPUT...", help="Images, film, folders, frame_%06d.png patterns, or - for stdin."),
    ] = None,
    output: Annotated[str, Flag("File, folder, or - for stdout.", short="-o", metavar="OUT")] = "",
    from_file: Annotated[
        str | None, Flag("Read more inputs from a file, one per line; - for stdin.", metavar="LIST")
    ] = None,
    null: Annotated[
        bool, Flag("Names in --from-file end in NUL, as find -print0 writes them.", short="-0")
    ] = False,
    *,
    options: RunOptions,
    batch: Batch,
) -> None:
    """Colorize images and film."""
    from colorcli.cli.console import open_sink
    from colorcli.jobs.run import run_jobs

    if not output:
        raise UsageError("colorcli run", "no output given", "name a file, a folder or - with -o")
    sources = [*(inputs or []), *_listed(from_file, null)]
    if not sources:
        raise UsageError("colorcli run", "no input given", "name files or folders, or - for stdin")
    options = replace(options, existing=batch.existing)
    _check(options, batch)
    is_stream = Path(output) == STDIO
    shard = Shard.parse(batch.shard) if batch.shard else WHOLE
    with open_sink(json=batch.json, quiet=batch.quiet, stdout_is_data=is_stream, page=batch.report) as sink:
        plan = make_plan(
            [Path(source) for source in sources],
            Path(output),
            options,
            sink,
            into_folder=output.endswith(("/", os.sep)),
            shard=shard,
        )
        if batch.dry_run:
            _show(plan, sink if batch.json else None)
            return
        with _state(plan, options, batch, shard) as state:
            executor = _executor(options, batch)
            summary = run_jobs(plan, options, sink, executor, state, join=batch.is_shared)
    sys.exit(summary.exit_code)


def _state(
    plan: Plan, options: RunOptions, batch: Batch, shard: Shard
) -> AbstractContextManager[RunState | None]:
    """The state of the output folder; None if the output is one file.

    Raises:
        RefusedError: what is there was made with another model or other options, and is to be continued.
        UsageError: runs are to share a folder, but the output is a file.
    """
    if plan.folder is None:
        if batch.is_shared:
            raise UsageError("--join and --cluster", "need a folder for OUT", "name a folder")
        return nullcontext(None)
    state = RunState(plan.folder, identity_of(options), shard)
    if options.existing is Existing.RESUME and not batch.force_resume:
        state.check()
    return state


def _executor(options: RunOptions, batch: Batch) -> Executor | None:
    """Where jobs are done; None for this machine."""
    if batch.cluster is None:
        return None
    from colorcli.jobs.cluster import ClusterExecutor

    return ClusterExecutor(options, batch.cluster)


def _check(options: RunOptions, batch: Batch) -> None:
    """Find files that cannot be read or written before any work starts.

    Raises:
        UsageError: hints or reference cannot be used, or a page or contact sheet cannot be written.
    """
    if options.color.hints or options.color.reference:
        from colorcli.colorizer.color_sources import ColorSources

        ColorSources.load(options.color)
    for flag, file in (("--report", batch.report), ("--contact-sheet", options.video.contact_sheet)):
        if file is not None:
            check_writable(file, flag)


def _show(plan: Plan, sink: Sink | None) -> None:
    """Print what a run would do: as rows, or as the events with which it would begin."""
    if sink is not None:
        sink(Planned(plan.count or 0, plan.count is not None))
    count = 0
    for job in plan:
        count += 1
        source, output = str(job.source), str(job.output)
        if sink is None:
            action = "skip" if job.skip else "fail" if job.problem else job.kind
            row = f"{action}\t{source}\t{job.problem.cause if job.problem else output}"
            typer.echo(row.encode("utf-8", "backslashreplace").decode())
        elif job.problem:
            sink(Failed.from_error(source, job.problem))
        else:
            sink(Done(source, output, "skipped") if job.skip else Started(source, output))
    if sink is not None and plan.count is None:
        sink(Planned(count))


def _listed(source: str | None, null: bool) -> list[str]:
    """The inputs that `--from-file` lists."""
    if source is None:
        return []
    try:
        content = sys.stdin.buffer.read() if Path(source) == STDIO else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(source, f"cannot be read ({error.strerror})", "check --from-file") from error
    content = content.removeprefix(codecs.BOM_UTF8)
    names = content.split(b"\0") if null else [name.rstrip(b"\r") for name in content.split(b"\n")]
    return [os.fsdecode(name) for name in names if name.strip()]
