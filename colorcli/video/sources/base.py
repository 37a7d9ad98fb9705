"""The interface of a source of frames."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from av.container import InputContainer
from av.packet import Packet

from colorcli.video.frames import Frame
from colorcli.video.info import VideoInfo
from colorcli.video.part import Place


class FrameSource(ABC):
    """A video that is being read. A context manager."""

    info: VideoInfo
    container: InputContainer | None = None
    """The open container, None for numbered pictures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.packets: deque[Packet] = deque()
        """Packets of the other streams that were met while reading, in their order."""
        self.damaged = 0
        """Packets that could not be decoded, or whose frames show damage."""
        self.notes: list[str] = []
        """What was found while reading and the user should know."""

    @abstractmethod
    def frames(self, near: Place | None = None) -> Iterator[Frame]:
        """All frames in the order of presentation; can be called once, or several times with a place.

        `near`: begin somewhere before this frame, which a source may ignore.
        """

    def restart(self) -> None:  # noqa: B027 - most have nothing to do
        """Prepare to read from the beginning again."""

    @abstractmethod
    def identity(self) -> object:
        """What ties a resumed run to this source, as JSON can hold it."""

    @abstractmethod
    def reopen(self) -> "FrameSource":
        """The same source, to be read a second time from its beginning."""

    def header(self, number: int) -> bytes:
        """The first bytes of a frame's own file, empty where frames have none."""
        return b""

    @property
    def origin(self) -> Fraction:
        """The time at which the source starts, in seconds of its own clock."""
        return Fraction(0)

    def close(self) -> None:
        """Close the container. No thread may be reading any more."""
        if self.container is not None:
            self.container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
