"""The interface of a sink."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from colorcli.video.frames import ColoredFrame
from colorcli.video.temporal_colorizer import Keyframe


@dataclass(frozen=True)
class ResumePoint:
    """Where an interrupted run is continued; the default is the beginning."""

    frames: int = 0
    """How many frames are finished."""
    keyframe: Keyframe | None = None
    """What the next frame depends on."""
    has_color: bool = False
    """Whether the last finished frame had color of its own."""
    shots: list[tuple[int, bool]] = field(default_factory=list)
    """First frame of each shot so far, and whether the shot keeps its color."""


class VideoSink(ABC):
    """Writes one output."""

    resume_point = ResumePoint()

    @abstractmethod
    def write(self, frames: Iterator[ColoredFrame]) -> None:
        """Write all frames after the resume point and finish the output.

        Raises:
            ColorcliError: an error of the frames, of the encoder, or of the output.
        """
