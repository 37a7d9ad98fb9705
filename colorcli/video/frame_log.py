"""Counts the frames of a video on their way to the output."""

import time
from collections.abc import Iterator, Sequence

from colorcli.events import Progress, Sink
from colorcli.video.frames import ColoredFrame
from colorcli.video.preflight import CheckedVideo
from colorcli.video.sinks.segments import Record

_PROGRESS_SECONDS = 0.2


class FrameLog:
    """Counts the frames that pass, and reports progress a few times a second."""

    def __init__(self, video: CheckedVideo, finished: Sequence[Record], report: Sink) -> None:
        self.earlier = self.frames = sum(len(record.timings) for record in finished)
        """How many are done, those of an earlier run included."""
        self.keeps_color = sum(record.kept for record in finished)
        """How many of them keep the color that they have."""
        self.has_own_parts = any(found.own_cells for record in finished for found in record.findings)
        """Whether a small part of a frame keeps its own color."""
        self._video, self._report = video, report
        self._total = video.trim.frames(video.info)

    def reopen(self, frames: int, keeps_color: int) -> None:
        """Take back frames that counted as done, and how many of them keep their color."""
        self.earlier -= frames
        self.frames -= frames
        self.keeps_color -= keeps_color

    def watch(self, frames: Iterator[ColoredFrame]) -> Iterator[ColoredFrame]:
        """The same frames; each is counted when the next one is asked for."""
        reported = 0.0
        for colored in frames:
            yield colored
            self.frames += 1
            self.keeps_color += colored.frame.keeps_color
            self.has_own_parts |= bool(colored.frame.own_cells)
            now = time.monotonic()
            if now - reported > _PROGRESS_SECONDS:
                reported = now
                self._report(Progress(self._video.name, self.frames, self._total, "frames"))
