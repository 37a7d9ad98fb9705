"""Shots of a part that is colorized again which keep the colors that an earlier run has stored.

A shot depends on the decisions about it and on what it remembers of earlier shots. Whether the memory would
be the same is known only when everything before the shot is colorized.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from colorcli.color.ycbcr import Plane
from colorcli.video.chroma_store import read_chroma
from colorcli.video.corrections import Memory
from colorcli.video.frames import ColoredFrame
from colorcli.video.part import StoredShot


class KeptShots:
    """Decides shot by shot whether its stored colors are taken, and reads them."""

    def __init__(self, stored: Sequence[StoredShot], memory: Memory | None) -> None:
        self._stored, self._memory = {shot.start: shot for shot in stored}, memory
        self._current: StoredShot | None = None
        self.taken: list[StoredShot] = []
        """Those that were found to keep their colors, in order."""

    def decides(self, number: int) -> bool:
        """Whether it is decided at a frame if a shot keeps its colors."""
        return number in self._stored

    def covers(self, number: int) -> bool:
        """Whether a frame keeps its stored colors; to be asked in order, when the shots before are done."""
        shot = self._stored.pop(number, None)
        if shot is not None:
            is_same = self._memory is None or self._memory.restore(shot.end)
            self._current = shot if is_same else None
            self.taken += [shot] if is_same else []
        return self._current is not None and number < self._current.end

    def fill(self, frames: Iterable[ColoredFrame]) -> Iterator[ColoredFrame]:
        """The frames, with stored colors where they keep them."""
        colors: Iterator[tuple[int, list[Plane]]] = iter(())
        taken = 0
        for colored in frames:
            frame = colored.frame
            if taken < len(self.taken) and self.taken[taken].start == frame.number:
                shot = self.taken[taken]
                colors = read_chroma(shot.chroma, len(frame.views), shot.place)
                colored = replace(colored, agreement=shot.agreement)
                taken += 1
            if colored.chromas is None and not frame.keeps_color:
                _, chromas = next(colors)
                colored = replace(colored, chromas=chromas)
            yield colored
