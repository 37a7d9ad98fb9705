"""Executes one job: the same function in this process, in a worker process or on another machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.errors import ColorcliError, InputError, bug
from colorcli.events import Event, Note, Progress, Sink
from colorcli.files import STDIO
from colorcli.images.codecs.registry import HEAD, suffix_of
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.naming import format_suffix
from colorcli.jobs.per_file import is_for_each, options_for
from colorcli.jobs.stdio import as_files
from colorcli.jobs.storage import fetched
from colorcli.options import Outcome, RunOptions

if TYPE_CHECKING:
    from colorcli.colorizer.color_sources import ColorSources
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.engines.shared import EngineConnections
    from colorcli.video.tasks import VideoTask


@dataclass(frozen=True)
class Context:
    """What every job of a run needs, opened once per process."""

    options: RunOptions
    predictor: "ChromaPredictor"
    sources: "ColorSources"


@contextmanager
def open_context(
    options: RunOptions, threads: int | None = None, shared: "EngineConnections | None" = None
) -> Iterator[Context]:
    """Open the model and read the user's hints and reference.

    Args:
        threads: CPU threads of the network; None uses all cores.
        shared: engines on a card that the processes of the run share.

    Raises:
        SetupError: the model or the device is not available.
        UsageError: the hints or the reference cannot be used.
    """
    from PIL import Image

    from colorcli.colorizer.color_sources import ColorSources
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.models import open_model

    color = options.color
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # `max_pixels` replaces Pillow's own limit
    try:
        with open_model(color.model, color.device, threads, color.model_kind, shared) as model:
            predictor = ChromaPredictor(model, size=color.size, saturation=color.saturation)
            # Templates are filled in for each job.
            sources = ColorSources() if is_for_each(options) else ColorSources.load(color)
            yield Context(options, predictor, sources)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def execute(job: Job, context: Context, report: Sink) -> Outcome:
    """Do one job: read its source, write its output whole, and return what was done.

    The result depends on the job and the context only, and doing a job twice does no harm, so any executor
    may call this anywhere. `report` receives `Progress` and `Note` events.

    Raises:
        ColorcliError: why there is no output.
        BrokenPipeError: the reader of standard output has closed it.
    """
    with reported_errors(job.source), fetched(job) as local:
        context = context_for(local, context, report)
        outcome = _do(local, context, report if local is job else _renamed(job, report))
        if note := context.predictor.take_note():
            report(Note(str(job.source), note))
        return outcome


@contextmanager
def reported_errors(source: Path) -> Iterator[None]:
    """Turn every error of the work on a source into a ColorcliError, so that other jobs are still done."""
    try:
        yield
    except (ColorcliError, BrokenPipeError):
        raise
    except OSError as error:
        cause = f"cannot be read or written ({error.strerror or error})"
        raise InputError(error.filename or source, cause, "check file and disk") from error
    except Exception as error:
        raise bug(source, error) from error


def execute_task(job: Job, task: "VideoTask", context: Context, report: Sink) -> Outcome:
    """Do one task of a job's film; its segments are on disk afterward.

    Raises:
        ColorcliError: why they are not.
    """
    with reported_errors(task.video.path):
        from colorcli.video.tasks import colorize_task

        context = context_for(job, context, lambda event: None)
        colorize_task(task, context.predictor, context.sources, report)
        if note := context.predictor.take_note():
            report(Note(str(job.source), note))
        return Outcome()


def context_for(job: Job, context: Context, report: Sink) -> Context:
    """The context with what differs from job to job."""
    from colorcli.colorizer.color_sources import ColorSources

    options = options_for(job, context.options)
    if options is context.options:
        return context
    for sidecar in job.sidecars:
        report(Note(str(job.source), f"takes colors from {sidecar.name}"))
    return replace(context, options=options, sources=ColorSources.load(options.color))


def _do(job: Job, context: Context, report: Sink) -> Outcome:
    if context.options.dry_run:
        return _inspect(job, context, report)
    if job.kind is Kind.VIDEO:
        return _video(job, context, report)
    with as_files(job, context.options.format) as (source, output):
        return _image(job, source, output, context, report)


def _renamed(job: Job, report: Sink) -> Sink:
    """The same sink, for events that name a local copy of the job's source."""

    def named(event: Event) -> None:
        report(replace(event, input=str(job.source)) if isinstance(event, Progress | Note) else event)

    return named


def _inspect(job: Job, context: Context, report: Sink) -> Outcome:
    """What would be done; standard input is not read."""
    from colorcli.images.colorize import inspect_image
    from colorcli.video.colorize import inspect_video

    if job.source == STDIO:
        return Outcome("to_colorize")
    options, output = context.options, job.output
    if job.kind is Kind.VIDEO:
        return inspect_video(job.source, output, options, report)
    if output == STDIO:
        with job.source.open("rb") as file:
            output = Path(f"stdout{format_suffix(options.format) or suffix_of(file.read(HEAD))}")
    return inspect_image(
        job.source, output, options, context.predictor, lambda message: report(Note(str(job.source), message))
    )


def _video(job: Job, context: Context, report: Sink) -> Outcome:
    from colorcli.video.colorize import colorize_video

    return colorize_video(job.source, job.output, context.options, context.predictor, context.sources, report)


def _image(job: Job, source: Path, output: Path, context: Context, report: Sink) -> Outcome:
    from colorcli.images.colorize import colorize_image

    def on_progress(done: int, total: int) -> None:
        report(Progress(str(job.source), done, total))

    def on_note(message: str) -> None:
        report(Note(str(job.source), message))

    return colorize_image(
        source, output, context.options, context.predictor, context.sources, on_progress, on_note
    )
