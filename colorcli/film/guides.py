"""What is known of a film's colours and shots before it is coloured: shot list, references, a palette."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorcli.colorize import Colorizer
from colorcli.core.color import Plane
from colorcli.core.condition import Hints
from colorcli.core.errors import UsageError
from colorcli.events import Note, Sink
from colorcli.film.canvas import open_canvas
from colorcli.film.decode import FilmReader
from colorcli.film.painting import nothing_known, see_for_yourself
from colorcli.film.pipeline import Plan, ahead
from colorcli.film.prepare import Prepared
from colorcli.film.references import Carried, carry, find_references
from colorcli.film.sequences import SequenceReader
from colorcli.film.shots import ShotPlan, read_shots
from colorcli.film.steady import HintSource
from colorcli.options import RunOptions
from colorcli.plan import STREAM


@contextmanager
def known_colours(film: Prepared, colorizer: Colorizer, report: Sink) -> Iterator[tuple[Plan, HintSource]]:
    """The plan of shots and the source of hints for a film.

    Raises:
        UsageError: a list or folder makes no sense, or the film cannot be read twice, as from a pipe.
    """
    options = film.options
    shots = options.film.shots
    plan = ShotPlan(read_shots(shots)) if shots is not None and shots.exists() else None
    known = _palette(colorizer, options.look.reference, plan, options.film.references)
    if options.film.references is None:
        yield plan or see_for_yourself, known
        return
    if film.job.source == STREAM:
        raise UsageError("--references", "need a film that can be read twice, not a pipe", "give a file")
    found = find_references(options.film.references, film.footage.rate)
    working = colorizer.working_shape(film.footage.height, film.footage.width)
    with Carried(working) as carried:
        missing = carry(found, ahead(_smalls(film, working)), film.footage, carried)
        for frame in missing:
            report(Note(str(options.film.references), f"the film has no frame {frame}"))
        yield plan or see_for_yourself, _first_of(carried, known)


def known_identity(options: RunOptions) -> list[str]:
    """Digests of what the user gave, for a continued run to be of the same."""
    given = [options.film.shots, options.look.reference]
    folder = options.film.references
    files = [path for path in given if path] + (
        sorted(folder.iterdir()) if folder and folder.is_dir() else []
    )
    # The list is only written at the end of the run that it was not there for.
    return [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path) for path in files]


def _palette(
    colorizer: Colorizer, reference: Path | None, plan: ShotPlan | None, folder: Path | None
) -> HintSource:
    """Hints from a picture's palette: the shot's own one, or the one for the whole film."""
    from colorcli.reference import read_reference, reference_hints

    pictures: dict[Path, Plane] = {}

    def known(number: int, small: Plane) -> Hints | None:
        shot = plan.of(number) if plan else None
        path = (folder or Path()) / shot.reference if shot and shot.reference else reference
        if path is None:
            return None
        if path not in pictures:
            pictures[path] = read_reference(path)
        return reference_hints(pictures[path], small, lambda luma: colorizer.predict([luma])[0])

    return known if reference or plan else nothing_known


def _first_of(one: HintSource, other: HintSource) -> HintSource:
    return lambda number, small: one(number, small) or other(number, small)


def _smalls(film: Prepared, working: tuple[int, int]) -> Iterator[tuple[int, Plane]]:
    """Every frame's number and luma at working size, in a reading of its own."""
    again = isinstance(film.reader, SequenceReader)
    reader = SequenceReader(film.job.source) if again else FilmReader(film.job.source, keep_packets=False)
    try:
        canvas = open_canvas(film.footage, film.recipe.layout)
        for frame in film.prepare(reader.frames()):
            yield frame.number, canvas.views(canvas.planar(frame.picture), working)[0].small
    finally:
        reader.close()
