"""The road from a film's frames to frames for the encoder, put together from its stages."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from av.video.frame import VideoFrame

from colorcli.colorize import Colorizer
from colorcli.core.color import Plane
from colorcli.core.condition import Hints
from colorcli.film.canvas import open_canvas, side_by_side
from colorcli.film.pipeline import Plan, Result, ahead, colour, look
from colorcli.film.prepare import Prepared
from colorcli.film.steady import EachAlone, HintSource, Key, Steadier
from colorcli.film.toned import ColourSense


def see_for_yourself(number: int) -> tuple[bool | None, bool, float]:
    """The plan of a film without a shot list."""
    return None, False, 1.0


def nothing_known(number: int, small: Plane) -> Hints | None:
    """The hints of a film without references."""
    return None


class Painting:
    """Colours a prepared film's frames in order; counts what it does."""

    def __init__(
        self,
        film: Prepared,
        colorizer: Colorizer,
        *,
        plan: Plan = see_for_yourself,
        known: HintSource = nothing_known,
    ) -> None:
        self.film = film
        self.shots: list[tuple[int, bool]] = []
        """First frame of each shot so far, and whether it keeps its colours."""
        self.frames = 0
        """How many there are so far, those of an earlier run among them."""
        self._colorizer, self._plan, self._known = colorizer, plan, known

    def results(
        self, *, skip: int = 0, key: Key | None = None, has_colour: bool = False
    ) -> Iterator[tuple[Result, VideoFrame]]:
        """Each frame's result and the painted frame.

        Args:
            skip: frames that an earlier run has finished.
            key: what it left off with.
            has_colour: whether the last of them had colour of its own.
        """
        film, options = self.film, self.film.options
        self.frames = skip
        canvas = open_canvas(film.footage, film.recipe.layout)
        working = self._colorizer.working_shape(film.footage.height, film.footage.width)
        sense = None if options.look.recolor else ColourSense(has_colour)
        kind = Steadier if options.film.stabilize else EachAlone
        frames = islice(film.frames(), skip, None)
        seen = ahead(look(frames, canvas, working, self._plan, sense))
        results = ahead(colour(seen, kind(self._colorizer, self._known, key)))
        with closing(results):  # type: ignore[type-var]
            for result in results:
                self._count(result)
                painted = canvas.paint(result.seen.planar, result.seen.views, result.chromas)
                if options.compare:
                    painted = side_by_side(canvas.without_colour(result.seen.planar), painted)
                yield result, painted

    @property
    def has_coloured(self) -> bool:
        """Whether any shot was given colours."""
        return not all(kept for _, kept in self.shots)

    def _count(self, result: Result) -> None:
        if result.opens_shot or not self.shots:
            self.shots.append((result.seen.frame.number, result.seen.kept))
        self.frames += 1
