"""`colorcli run`: flags to options, inputs to jobs, jobs to the batch."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from colorcli.errors import UsageError
from colorcli.events import Done, Failed, Planned, Sink, Started
from colorcli.files import STDIO, check_writable
from colorcli.jobs.job import Job
from colorcli.options import DEFAULT_MODEL, MAX_PIXELS, ColorOptions, Existing, RunOptions, VideoOptions

LOOK, BATCH, FILM = "Look", "Batch", "Film"


def run(
    inputs: Annotated[
        list[str] | None,
        Argument(
            metavar="INPUT...", help="Pictures, films, folders, frame_%06d.png patterns, or - for stdin."
        ),
    ] = None,
    output: Annotated[
        str, Option("-o", "--output", metavar="OUT", help="File, folder, or - for stdout.")
    ] = "",
    from_file: Annotated[
        str | None, Option(metavar="LIST", help="Read more inputs from a file, one a line; - for stdin.")
    ] = None,
    null: Annotated[
        bool, Option("-0", "--null", help="Names in --from-file end in NUL, as find -print0 writes them.")
    ] = False,
    *,
    model: Annotated[
        Path | None,
        Option(
            envvar="COLORCLI_MODEL",
            help="Generator file; the built-in one if left out.",
            rich_help_panel=LOOK,
        ),
    ] = None,
    device: Annotated[
        str,
        Option(
            envvar="COLORCLI_DEVICE",
            help="auto, cpu, cuda, cuda:N, openvino or tensorrt.",
            rich_help_panel=LOOK,
        ),
    ] = "auto",
    size: Annotated[
        int | None, Option(min=32, help="Short side at which the network works.", rich_help_panel=LOOK)
    ] = None,
    saturation: Annotated[
        float,
        Option(
            envvar="COLORCLI_SATURATION", min=0, max=4, help="Multiplies the colors.", rich_help_panel=LOOK
        ),
    ] = 1.0,
    hints: Annotated[
        Path | None,
        Option(
            help="Known colors: JSON or CSV of x, y, color; or a PNG with painted pixels.",
            rich_help_panel=LOOK,
        ),
    ] = None,
    reference: Annotated[
        Path | None, Option(help="A color picture whose palette is carried over.", rich_help_panel=LOOK)
    ] = None,
    recolor: Annotated[
        bool, Option("--recolor", help="Do what already has color, too.", rich_help_panel=LOOK)
    ] = False,
    provenance: Annotated[
        bool,
        Option(
            "--provenance/--no-provenance",
            help="Mark outputs as algorithmically colorized.",
            rich_help_panel=LOOK,
        ),
    ] = True,
    compare: Annotated[
        bool, Option("--compare", help="Write gray and color side by side.", rich_help_panel=LOOK)
    ] = False,
    skip_existing: Annotated[
        bool, Option("--skip-existing", help="Leave outputs that are there.", rich_help_panel=BATCH)
    ] = False,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace outputs that are there.", rich_help_panel=BATCH)
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Continue an interrupted run.", rich_help_panel=BATCH)
    ] = False,
    fail_fast: Annotated[
        bool, Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=BATCH)
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show what would be done.", rich_help_panel=BATCH)
    ] = False,
    jobs: Annotated[
        int | None,
        Option(envvar="COLORCLI_JOBS", min=1, help="Worker processes for pictures.", rich_help_panel=BATCH),
    ] = None,
    max_pixels: Annotated[
        int,
        Option(envvar="COLORCLI_MAX_PIXELS", min=1, help="Refuse pictures with more.", rich_help_panel=BATCH),
    ] = MAX_PIXELS,
    preserve_times: Annotated[
        bool, Option("--preserve-times", help="Keep modification times.", rich_help_panel=BATCH)
    ] = False,
    stream_format: Annotated[
        str | None,
        Option(
            "--format",
            metavar="EXT",
            help="Format for stdout: png, jpg, tif, ...; mkv, nut, y4m.",
            rich_help_panel=BATCH,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        Option(
            "--report",
            metavar="FILE.html",
            help="A page of before/after pairs and failures.",
            rich_help_panel=BATCH,
        ),
    ] = None,
    json: Annotated[
        bool, Option("--json", help="One event per line, as JSON.", rich_help_panel=BATCH)
    ] = False,
    quiet: Annotated[bool, Option("-q", "--quiet", help="Errors only.", rich_help_panel=BATCH)] = False,
    codec: Annotated[
        str | None,
        Option(
            envvar="COLORCLI_CODEC",
            help="Encoder: libx264, libx265, libsvtav1, prores_ks, ffv1, ...",
            rich_help_panel=FILM,
        ),
    ] = None,
    crf: Annotated[
        float | None,
        Option(envvar="COLORCLI_CRF", help="Encoder quality; lower is better.", rich_help_panel=FILM),
    ] = None,
    preset: Annotated[
        str | None, Option(envvar="COLORCLI_PRESET", help="Encoder speed.", rich_help_panel=FILM)
    ] = None,
    pix_fmt: Annotated[
        str | None, Option(help="Pixel format; the source's own if left out.", rich_help_panel=FILM)
    ] = None,
    encoder_args: Annotated[
        str, Option(help="More arguments for ffmpeg's encoder.", rich_help_panel=FILM)
    ] = "",
    start: Annotated[
        str | None, Option(help="12.5, 00:01:02.5, 00:01:02:12 or 300f.", rich_help_panel=FILM)
    ] = None,
    end: Annotated[
        str | None, Option(help="Likewise; the first moment left out.", rich_help_panel=FILM)
    ] = None,
    stabilize: Annotated[
        bool,
        Option("--stabilize/--no-stabilize", help="Hold colors still within a shot.", rich_help_panel=FILM),
    ] = True,
    references: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Frames colored by hand, named by number or timecode.",
            rich_help_panel=FILM,
        ),
    ] = None,
    shots: Annotated[
        Path | None,
        Option(metavar="FILE", help="Shot list: read if it is there, else written.", rich_help_panel=FILM),
    ] = None,
    deinterlace: Annotated[
        bool, Option("--deinterlace", help="Turn fields into frames.", rich_help_panel=FILM)
    ] = False,
    tonemap: Annotated[bool, Option("--tonemap", help="Turn HDR into SDR.", rich_help_panel=FILM)] = False,
    contact_sheet: Annotated[
        Path | None, Option(metavar="FILE.png", help="One picture of the film's shots.", rich_help_panel=FILM)
    ] = None,
) -> None:
    """Colorize pictures and film."""
    from colorcli.cli.console import open_sink
    from colorcli.jobs.plan import make_plan
    from colorcli.jobs.run import run_jobs

    if not output:
        raise UsageError("colorcli run", "no output given", "name a file, a folder or - with -o")
    sources = [*(inputs or []), *_listed(from_file, null)]
    if not sources:
        raise UsageError("colorcli run", "no input given", "name files or folders, or - for stdin")
    options = RunOptions(
        color=ColorOptions(
            model=model or DEFAULT_MODEL,
            device=device,
            size=size,
            saturation=saturation,
            hints=hints,
            reference=reference,
            recolor=recolor,
            provenance=provenance,
        ),
        video=VideoOptions(
            codec=codec,
            crf=crf,
            preset=preset,
            pix_fmt=pix_fmt,
            encoder_args=encoder_args,
            start=start,
            end=end,
            stabilize=stabilize,
            references=references,
            shots=shots,
            deinterlace=deinterlace,
            tonemap=tonemap,
            contact_sheet=contact_sheet,
        ),
        existing=_existing(skip_existing, overwrite, resume),
        fail_fast=fail_fast,
        jobs=jobs,
        max_pixels=max_pixels,
        compare=compare,
        preserve_times=preserve_times,
        stream_format=stream_format,
    )
    if hints or reference:
        from colorcli.colorizer.color_sources import check_guidance

        check_guidance(options.color)
    for flag, file in (("--report", page), ("--contact-sheet", contact_sheet)):
        if file is not None:
            check_writable(file, flag)
    folder = output.endswith(("/", os.sep))
    with open_sink(json=json, quiet=quiet, stdout_is_data=Path(output) == STDIO, page=page) as sink:
        plan = make_plan(
            [Path(source) for source in sources], Path(output), options, sink, into_folder=folder
        )
        if dry_run:
            _show(plan, sink if json else None)
            return
        summary = run_jobs(plan, options, sink)
    sys.exit(summary.exit_code)


def _show(plan: list[Job], sink: Sink | None) -> None:
    """What a run would do: as rows, or as the events it would begin with."""
    if sink is not None:
        sink(Planned(len(plan)))
    for job in plan:
        source, output = str(job.source), str(job.output)
        if sink is None:
            what = "skip" if job.skip else "fail" if job.problem else job.kind
            typer.echo(f"{what}\t{source}\t{job.problem.cause if job.problem else output}")
        elif job.problem:
            sink(Failed.from_error(source, job.problem))
        else:
            sink(Done(source, output, "skipped") if job.skip else Started(source, output))


def _listed(source: str | None, null: bool) -> list[str]:
    """The inputs that `--from-file` names."""
    if source is None:
        return []
    try:
        content = sys.stdin.buffer.read() if Path(source) == STDIO else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(source, f"cannot be read ({error.strerror})", "check --from-file") from error
    names = content.split(b"\0") if null else [name.rstrip(b"\r") for name in content.split(b"\n")]
    return [os.fsdecode(name) for name in names if name.strip()]


def _existing(skip: bool, overwrite: bool, resume: bool) -> Existing:
    """What the three flags say together.

    Raises:
        UsageError: more than one is given.
    """
    chosen = [
        choice
        for choice, given in (
            (Existing.SKIP, skip),
            (Existing.OVERWRITE, overwrite),
            (Existing.RESUME, resume),
        )
        if given
    ]
    if len(chosen) > 1:
        flags = "--skip-existing, --overwrite and --resume"
        raise UsageError("colorcli run", f"{flags} exclude each other", "give one of them")
    return chosen[0] if chosen else Existing.REFUSE
