"""`colorcli refs`: a colorized frame of each shot, to be painted over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import RefusedError, UsageError
from colorcli.events import Started
from colorcli.files import check_folder
from colorcli.options import ColorOptions, Flag, RunOptions, VideoOptions


@dataclass(frozen=True)
class FilmPart:
    """What of a film is looked at."""

    PANEL: ClassVar = "Film"

    start: Annotated[str | None, Flag("First frame, as for run.")] = None
    end: Annotated[str | None, Flag("End, exclusive.")] = None
    shots: Annotated[Path | None, Flag("Shot list, as for run.", metavar="FILE")] = None
    fps: Annotated[str | None, Flag("Frame rate of numbered frames.", metavar="RATE")] = None
    tonemap: Annotated[bool, Flag("Convert HDR to SDR.")] = False


@with_options
def refs(
    film: Annotated[Path, Argument(metavar="FILM", help="A film, or a frame_%06d.png pattern.")],
    output: Annotated[Path, Flag("Folder of the frames.", short="-o", metavar="FOLDER")],
    overwrite: Annotated[bool, Flag("Replace existing frames, painted ones included.")] = False,
    quiet: Annotated[bool, Flag("Errors only.", short="-q")] = False,
    *,
    color: ColorOptions,
    part: FilmPart,
) -> None:
    """Write one colorized frame of each shot, named by its number, to paint over.

    `run --references FOLDER` takes back those that were changed.
    """
    from colorcli.cli.console import counted, open_sink
    from colorcli.cli.use import check_film
    from colorcli.colorizer.color_sources import ColorSources
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.images.metadata.xmp import with_provenance
    from colorcli.models import open_model
    from colorcli.video.preflight import open_to_look
    from colorcli.video.reference_pictures import write_reference
    from colorcli.video.survey import color_shots, rgb_of

    check_film(film)
    check_folder(output, "-o")
    if part.shots is not None and not part.shots.exists():
        remedy = "write it with `colorcli shots`, or leave --shots out"
        raise UsageError(part.shots, "no such shot list", remedy)
    if not overwrite and output.is_dir() and any(output.glob("*.png")):
        raise RefusedError(output, "contains pictures already", "give another folder, or --overwrite")
    video_options = VideoOptions(
        start=part.start, end=part.end, shots=part.shots, fps=part.fps, tonemap=part.tonemap
    )
    written = 0
    with (
        open_model(color.model, color.device, kinds=color.model_kind) as model,
        open_sink(json=False, quiet=quiet, stdout_is_data=False) as sink,
        open_to_look(film, RunOptions(color, video_options)) as video,
    ):
        predictor = ChromaPredictor(model, size=color.size, saturation=color.saturation)
        converter = video.converter()
        mark = with_provenance(None, model.card) if color.provenance else None
        output.mkdir(parents=True, exist_ok=True)
        sink(Started(video.name, str(output), video.trim.frames(video.info)))
        for shot in color_shots(video, predictor, ColorSources.load(color), sink):
            if not shot.keeps_color:
                number = shot.shown.frame.number
                write_reference(output / f"{number:06d}.png", rgb_of(shot.shown, converter), mark)
                written += 1
    if not quiet:
        typer.echo(f"{output}: {counted(written, 'frame')}, one of each shot")
