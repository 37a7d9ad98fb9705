"""`colorcli shots`: the shots of a film, before anything is colorized."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import RefusedError
from colorcli.events import Started
from colorcli.files import check_writable
from colorcli.options import ColorOptions, Flag, RunOptions, VideoOptions


@with_options
def shots(
    film: Annotated[Path, Argument(metavar="FILM", help="A film, or a frame_%06d.png pattern.")],
    output: Annotated[Path, Flag("Shot list: .csv, .edl or .otio.", short="-o", metavar="FILE")],
    recolor: Annotated[bool, Flag("Do not look for shots that have color.")] = False,
    fps: Annotated[str | None, Flag("Frame rate of numbered frames: 24, 24000/1001.", metavar="RATE")] = None,
    report: Annotated[Path | None, Flag("HTML page with a frame of each shot.", metavar="FILE.html")] = None,
    overwrite: Annotated[bool, Flag("Replace an existing shot list.")] = False,
    quiet: Annotated[bool, Flag("Errors only.", short="-q")] = False,
) -> None:
    """Find the shots of a film, and write them for `run --shots` or for an editing program."""
    from colorcli.cli.console import counted, open_sink
    from colorcli.cli.report import report_page
    from colorcli.cli.use import check_film
    from colorcli.video.preflight import open_to_look
    from colorcli.video.shot_exchange import write_shot_exchange, writer_for
    from colorcli.video.shot_list import Shot
    from colorcli.video.survey import find_shots

    writer_for(output)
    if output.exists() and not overwrite:
        raise RefusedError(output, "the output exists already", "choose --overwrite or another name")
    check_writable(output, "-o")
    check_film(film)
    options = RunOptions(ColorOptions(recolor=recolor), VideoOptions(tonemap=True, fps=fps))
    with (
        open_sink(json=False, quiet=quiet, stdout_is_data=False) as events,
        report_page(report, events) as sink,
        open_to_look(film, options) as video,
    ):
        sink(Started(video.name, str(output), video.trim.frames(video.info)))
        found = [Shot(one.start, one.end, skip=one.keeps_color) for one in find_shots(video, sink)]
        write_shot_exchange(output, found, video.info)
    if not quiet:
        typer.echo(f"{output}: {counted(len(found), 'shot')}, {counted(found[-1].end, 'frame')}")
