"""What is known of a film's colors and shots before it is colored: shot list, references, a palette."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import ReferencePicture
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import UsageError
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.options import RunOptions
from colorcli.video.frame_colorizer import nothing_known, see_for_yourself
from colorcli.video.frame_converter import open_converter
from colorcli.video.preflight import Prepared
from colorcli.video.reader import VideoReader
from colorcli.video.references import Carried, carry, find_references
from colorcli.video.sequences import SequenceReader
from colorcli.video.shots import ShotPlan, read_shots
from colorcli.video.stages import Plan, ahead
from colorcli.video.temporal_colorizer import HintSource


@contextmanager
def known_colors(
    film: Prepared, colorizer: ChromaPredictor, report: Sink
) -> Iterator[tuple[Plan, HintSource]]:
    """The plan of shots and the source of hints for a film.

    Raises:
        UsageError: a list or folder makes no sense, or the film cannot be read twice, as from a pipe.
    """
    options = film.options
    shots = options.video.shots
    plan = ShotPlan(read_shots(shots)) if shots is not None and shots.exists() else None
    known = _palette(colorizer, options.color.reference, plan, options.video.references)
    if options.video.references is None:
        yield plan or see_for_yourself, known
        return
    if film.source == STDIO:
        raise UsageError("--references", "need a film that can be read twice, not a pipe", "give a file")
    found = find_references(options.video.references, film.info.rate)
    working = colorizer.working_shape(film.info.height, film.info.width)
    with Carried(working) as carried:
        missing = carry(found, ahead(_smalls(film, working)), film.info, carried)
        for frame in missing:
            report(Note(str(options.video.references), f"the film has no frame {frame}"))
        yield plan or see_for_yourself, _first_of(carried, known)


def known_identity(options: RunOptions) -> list[str]:
    """Digests of what the user gave, for a continued run to be of the same."""
    given = [options.video.shots, options.color.reference]
    folder = options.video.references
    files = [path for path in given if path] + (
        sorted(folder.iterdir()) if folder and folder.is_dir() else []
    )
    # The list is only written at the end of the run that it was not there for.
    return [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path) for path in files]


def _palette(
    colorizer: ChromaPredictor, reference: Path | None, plan: ShotPlan | None, folder: Path | None
) -> HintSource:
    """Hints from a picture's palette: the shot's own one, or the one for the whole film."""
    pictures: dict[Path, ReferencePicture] = {}

    def known(number: int, small: Plane) -> Hints | None:
        shot = plan.of(number) if plan else None
        path = (folder or Path()) / shot.reference if shot and shot.reference else reference
        if path is None:
            return None
        if path not in pictures:
            pictures[path] = ReferencePicture(path)
        return pictures[path].hints_for(small, colorizer)

    return known if reference or plan else nothing_known


def _first_of(one: HintSource, other: HintSource) -> HintSource:
    return lambda number, small: one(number, small) or other(number, small)


def _smalls(film: Prepared, working: tuple[int, int]) -> Iterator[tuple[int, Plane]]:
    """Every frame's number and luma at working size, in a reading of its own."""
    again = isinstance(film.reader, SequenceReader)
    reader = SequenceReader(film.source) if again else VideoReader(film.source, keep_packets=False)
    try:
        converter = open_converter(film.info, film.settings.layout)
        for frame in film.prepare(reader.frames()):
            yield frame.number, converter.views(converter.planar(frame.picture), working)[0].small
    finally:
        reader.close()
