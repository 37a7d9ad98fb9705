"""The frame that stands for a shot, chosen while the shot is being read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from colorcli.video.frames import ColoredFrame

Kept = TypeVar("Kept")


@dataclass
class OpenShot(Generic[Kept]):
    """A shot that is being read. It holds two frames at most, one twice as far in as the other."""

    start: int
    """Number of its first frame."""
    last: int
    """Number of its last frame so far."""
    candidates: list[tuple[int, Kept]]
    """How many frames precede each in the shot, and what is kept of it."""

    @classmethod
    def of(cls, first: ColoredFrame, kept: Kept) -> Self:
        """A shot of one frame."""
        return cls(first.frame.number, first.frame.number, [(0, kept)])

    def add(self, colored: ColoredFrame, keep: Callable[[ColoredFrame], Kept]) -> None:
        """Read the shot's next frame; `keep` makes what is held of it."""
        self.last = colored.frame.number
        place = self.last - self.start
        if place & (place - 1) == 0:  # 1, 2, 4, 8, ...
            self.candidates = [*self.candidates[-1:], (place, keep(colored))]

    def shown(self) -> Kept:
        """What is kept of a frame from the second quarter of the shot so far."""
        middle = (self.last + 1 - self.start) // 2
        return [kept for place, kept in self.candidates if place <= middle][-1]
