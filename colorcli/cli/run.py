"""`colorcli run`: flags to options, inputs to jobs, jobs to a run."""

import codecs
import os
import sys
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.cli.sample import sampled
from colorcli.cli.use import check_use, watch_use
from colorcli.errors import UsageError
from colorcli.events import Sink
from colorcli.files import STDIO, check_writable
from colorcli.jobs.executors import Executor
from colorcli.jobs.identity import identity_of
from colorcli.jobs.naming import Selection, is_template
from colorcli.jobs.per_file import is_for_each
from colorcli.jobs.plan import Plan, make_plan
from colorcli.jobs.shard import Shard
from colorcli.jobs.state import RunState
from colorcli.jobs.storage import url_of
from colorcli.jobs.walk import WHOLE
from colorcli.options import Existing, Flag, Json, RunOptions
from colorcli.signals import StopSignals

ALL: Any = ()


@dataclass(frozen=True)
class Batch:
    """What concerns the command line alone."""

    PANEL: ClassVar = "Batch"

    skip_existing: Annotated[bool, Flag("Keep existing outputs.")] = False
    overwrite: Annotated[bool, Flag("Replace existing outputs.")] = False
    resume: Annotated[bool, Flag("Continue an interrupted run.")] = False
    force_resume: Annotated[bool, Flag("Continue a run even if the model or the options differ.")] = False
    shard: Annotated[
        str | None, Flag("Do one part of N: K/N, or auto in a Slurm or Batch array.", metavar="K/N")
    ] = None
    join: Annotated[bool, Flag("Share the work with other runs into the same folder.")] = False
    cluster: Annotated[str | None, Flag("Run on a Ray cluster: auto or HOST:PORT.", metavar="ADDRESS")] = None
    include: Annotated[list[str], Flag("Only files like this: '*.tif'. Repeatable.", metavar="PATTERN")] = ALL
    exclude: Annotated[
        list[str], Flag("No files or folders like this: thumbs. Repeatable.", metavar="PATTERN")
    ] = ALL
    sample: Annotated[
        str | None, Flag("Only pieces from all over a film, of this total length: 60s.", metavar="SECONDS")
    ] = None
    report: Annotated[Path | None, Flag("HTML page of all results and failures.", metavar="FILE.html")] = None
    json: Json = False
    quiet: Annotated[bool, Flag("Errors only.", short="-q")] = False

    @property
    def is_shared(self) -> bool:
        """Whether other runs into the same folder may do the same jobs."""
        return self.join or self.cluster is not None


@with_options
def run(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        Argument(metavar="INPUT...", help="Images, film, folders, frame_%06d.png patterns, or - for stdin."),
    ] = None,
    output: Annotated[
        str,
        Flag(
            "File, folder, template of {parent}, {stem}, {ext} and {name}, or - for stdout.",
            short="-o",
            metavar="OUT",
        ),
    ] = "",
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
    from colorcli.cli.dry_run import DryRun
    from colorcli.cli.report import report_page
    from colorcli.jobs.run import run_jobs

    given = {name for name in context.params if _is_stated(context, name)}
    is_stream = Path(output) == STDIO
    with (
        open_sink(json=batch.json, quiet=batch.quiet, stdout_is_data=is_stream) as sink,
        StopSignals() as signals,
        signals.at_once(),  # `run_jobs` handles them itself
    ):
        existing = _existing(batch, given)
        options = replace(options, existing=existing)
        sources = [*(inputs or []), *_listed(from_file, null)]
        _check(sources, output, options, batch)
        check_use([Path(source) for source in sources], options, given)
        shard = Shard.parse(batch.shard) if batch.shard else WHOLE
        with (
            sampled(sources, batch.sample, options, sink) as (sources, sink),
            report_page(batch.report, sink) as sink,
        ):
            plan = _plan(sources, output, options, batch, shard, sink)
            if options.dry_run:
                summary = run_jobs(plan, options, DryRun(options, sink, rows=not batch.json))
                sys.exit(summary.exit_code)
            join = batch.is_shared and existing is Existing.RESUME
            with _state(plan, options, batch, shard) as state:
                executor = _executor(options, batch)
                jobs = watch_use(plan, given, sink)
                summary = run_jobs(jobs, options, sink, executor, state, join=join)
    sys.exit(summary.exit_code)


def _plan(
    sources: list[str], output: str, options: RunOptions, batch: Batch, shard: Shard, sink: Sink
) -> Plan:
    return make_plan(
        [Path(source) for source in sources],
        Path(output),
        options,
        sink,
        into_folder=output.endswith(("/", os.sep)),
        shard=shard,
        selection=Selection(tuple(batch.include), tuple(batch.exclude)),
    )


def _is_stated(context: typer.Context, name: str) -> bool:
    """Whether the command line itself sets a parameter, and not a variable or the configuration file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _existing(batch: Batch, given: Collection[str]) -> Existing:
    """What the flags about existing outputs ask for; a flag wins over the configuration file.

    Raises:
        UsageError: flags that exclude each other are given.
    """
    kinds = {
        "skip_existing": Existing.SKIP,
        "overwrite": Existing.OVERWRITE,
        "resume": Existing.RESUME,
        "force_resume": Existing.RESUME,
        "join": Existing.RESUME,
        "cluster": Existing.RESUME,
    }
    asked = [name for name in kinds if getattr(batch, name) not in (False, None)]
    asked = [name for name in asked if name in given] or asked
    if len({kinds[name] for name in asked}) > 1:
        cause = "--skip-existing, --overwrite and --resume (or --join, --cluster) exclude each other"
        raise UsageError("colorcli run", cause, "give one of them")
    return kinds[asked[0]] if asked else Existing.REFUSE


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
    if batch.is_shared and url_of(plan.folder):
        remedy = "divide the work with --shard K/N, or mount it"
        raise UsageError((batch.cluster and "--cluster") or "--join", "needs a shared folder for OUT", remedy)
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


def _check(sources: list[str], output: str, options: RunOptions, batch: Batch) -> None:
    """Find what is missing, and files that cannot be read or written, before any work starts.

    Raises:
        UsageError: there is no input or output, hints or reference cannot be used, or a page or contact
            sheet cannot be written.
    """
    if not output:
        raise UsageError("colorcli run", "no output given", "name a file, a folder or - with -o")
    if "" in sources:
        raise UsageError("colorcli run", "an input has an empty name", "check quotes and shell variables")
    if not sources:
        raise UsageError("colorcli run", "no input given", "name files or folders, or - for stdin")
    if (options.color.hints or options.color.reference) and not is_for_each(options):
        from colorcli.colorizer.color_sources import ColorSources

        ColorSources.load(options.color)
    for flag, file in (("--report", batch.report), ("--contact-sheet", options.video.contact_sheet)):
        if file is not None and not is_template(file):
            check_writable(file, flag)


def _listed(source: str | None, null: bool) -> list[str]:
    """The inputs that `--from-file` lists."""
    if source is None:
        return []
    try:
        content = sys.stdin.buffer.read() if Path(source) == STDIO else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(source, f"cannot be read ({error.strerror})", "check --from-file") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        content = os.fsencode(content.decode("utf-16", "replace"))
    content = content.removeprefix(codecs.BOM_UTF8)
    names = content.split(b"\0") if null else [name.rstrip(b"\r") for name in content.split(b"\n")]
    return [os.fsdecode(name) for name in names if name.strip()]
