"""The frame that stands for a shot, chosen while the shot is being read."""

from collections.abc import Callable
from typing import Generic, TypeVar

from colorcli.video.frames import ColoredFrame

Kept = TypeVar("Kept")


class OpenShot(Generic[Kept]):
    """A shot that is being read. It holds two frames at most, one twice as far in as the other."""

    def __init__(self, first: ColoredFrame, keep: Callable[[ColoredFrame], Kept]) -> None:
        """`keep`: makes what is held of a frame."""
        self.start = self.last = first.frame.number
        self._keep = keep
        self._candidates = [(0, keep(first))]

    def add(self, colored: ColoredFrame) -> None:
        """Read the shot's next frame."""
        self.last = colored.frame.number
        place = self.last - self.start
        if place & (place - 1) == 0:  # 1, 2, 4, 8, ...
            self._candidates = [*self._candidates[-1:], (place, self._keep(colored))]

    def shown(self) -> Kept:
        """What is kept of a frame from the second quarter of the shot so far."""
        middle = (self.last + 1 - self.start) // 2
        return [kept for place, kept in self._candidates if place <= middle][-1]
