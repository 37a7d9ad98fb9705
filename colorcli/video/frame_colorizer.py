"""The road from a film's frames to frames for the encoder, put together from its stages."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from av.video.frame import VideoFrame

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.video.color_detection import ColorDetector
from colorcli.video.frame_converter import open_converter, side_by_side
from colorcli.video.preflight import Prepared
from colorcli.video.stages import Plan, Result, ahead, color, look
from colorcli.video.temporal_colorizer import HintSource, Keyframe, PerFrameColorizer, TemporalColorizer


def see_for_yourself(number: int) -> tuple[bool | None, bool, float]:
    """The plan of a film without a shot list."""
    return None, False, 1.0


def nothing_known(number: int, small: Plane) -> Hints | None:
    """The hints of a film without references."""
    return None


class FrameColorizer:
    """Colors a prepared film's frames in order; counts what it does."""

    def __init__(
        self,
        film: Prepared,
        colorizer: ChromaPredictor,
        *,
        plan: Plan = see_for_yourself,
        known: HintSource = nothing_known,
    ) -> None:
        self.film = film
        self.shots: list[tuple[int, bool]] = []
        """First frame of each shot so far, and whether it keeps its colors."""
        self.frames = 0
        """How many there are so far, those of an earlier run among them."""
        self._colorizer, self._plan, self._known = colorizer, plan, known

    def results(
        self, *, skip: int = 0, key: Keyframe | None = None, has_color: bool = False
    ) -> Iterator[tuple[Result, VideoFrame]]:
        """Each frame's result and the painted frame.

        Args:
            skip: frames that an earlier run has finished.
            key: what it left off with.
            has_color: whether the last of them had color of its own.
        """
        film, options = self.film, self.film.options
        self.frames = skip
        converter = open_converter(film.info, film.settings.layout)
        working = self._colorizer.working_shape(film.info.height, film.info.width)
        sense = None if options.color.recolor else ColorDetector(has_color)
        kind = TemporalColorizer if options.video.stabilize else PerFrameColorizer
        frames = islice(film.frames(), skip, None)
        seen = ahead(look(frames, converter, working, self._plan, sense))
        results = ahead(color(seen, kind(self._colorizer, self._known, key)))
        with closing(results):  # type: ignore[type-var]
            for result in results:
                self._count(result)
                painted = converter.paint(result.seen.planar, result.seen.views, result.chromas)
                if options.compare:
                    painted = side_by_side(converter.without_color(result.seen.planar), painted)
                yield result, painted

    @property
    def has_colored(self) -> bool:
        """Whether any shot was given colors."""
        return not all(kept for _, kept in self.shots)

    def _count(self, result: Result) -> None:
        if result.opens_shot or not self.shots:
            self.shots.append((result.seen.frame.number, result.seen.kept))
        self.frames += 1
