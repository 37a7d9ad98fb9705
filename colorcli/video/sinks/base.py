"""The interface of a sink."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from colorcli.video.frames import ColoredFrame
from colorcli.video.part import Part
from colorcli.video.shot_memory import ShotMemory
from colorcli.video.shot_summary import ShotSummary
from colorcli.video.sinks.segments import Record

Summaries = Callable[[], list[ShotSummary]]
"""Gives those of the shots that have had frames since it was called last; the last shot may go on."""


class VideoSink(ABC):
    """Writes one output."""

    folder: Path | None = None
    """Where the state of an unfinished output is kept."""

    @property
    def finished(self) -> Sequence[Record]:
        """What an earlier run has finished."""
        return ()

    def parts(self, memory: ShotMemory | None) -> Iterator[Part]:
        """What is to be colorized; the default is the whole video.

        Each part is asked for when the one before is in the memory, which then remembers what lies between.
        """
        yield Part()

    @abstractmethod
    def write(self, frames: Iterator[ColoredFrame], part: Part, summaries: Summaries) -> None:
        """Write the frames of a part; `summaries` gives what the report has of those so far.

        Raises:
            ColorcliError: an error of the frames, of the encoder, or of the output.
        """

    def finish(self) -> None:  # noqa: B027 - most have nothing to do
        """Finish the output when all parts are written.

        Raises:
            ColorcliError: the output cannot be written.
        """
