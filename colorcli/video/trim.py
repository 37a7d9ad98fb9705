"""Trimming by --start and --end: of frames, and of the other streams' packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from av.packet import Packet

from colorcli.errors import UsageError
from colorcli.video.frames import Frame
from colorcli.video.info import VideoInfo
from colorcli.video.timecode import Timecode, parse_timecode


@dataclass(frozen=True)
class Clip:
    """The part of the source that is kept, in seconds of the source's clock; the output begins at 0."""

    start: Fraction | None = None
    end: Fraction | None = None

    @property
    def shift(self) -> Fraction:
        """Seconds by which everything moves forward."""
        return self.start or Fraction(0)

    def holds(self, packet: Packet) -> bool:
        """Whether a packet lies within the clip."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or packet.time_base is None:
            return True
        seconds = ticks * packet.time_base
        return (self.start is None or seconds >= self.start) and (self.end is None or seconds < self.end)


@dataclass(frozen=True)
class Trim:
    """The values of --start and --end."""

    start: Timecode | None = None
    end: Timecode | None = None

    @classmethod
    def parse(cls, start: str | None, end: str | None, rate: Fraction) -> "Trim":
        """Parse the two options.

        Raises:
            UsageError: one cannot be parsed, or the end is not after the start.
        """
        trim = cls(*(parse_timecode(text, rate) if text else None for text in (start, end)))
        if trim.start and trim.end and trim.end.in_seconds(rate) <= trim.start.in_seconds(rate):
            raise UsageError(f"--end {end}", f"is not after --start {start}", "give a later end")
        return trim

    def clip(self, info: VideoInfo, origin: Fraction) -> Clip:
        """The clip for the other streams; `origin` is the time in seconds at which the source starts."""
        start, end = (
            None if point is None else point.in_seconds(info.rate) + origin
            for point in (self.start, self.end)
        )
        return Clip(start, end)

    def frames(self, info: VideoInfo) -> int | None:
        """How many frames of the video are kept, by its average rate; None where it does not say."""
        if info.frames is None:
            return None
        first, last = (
            default if point is None else min(info.frames, ceil(point.in_seconds(info.rate) * info.rate))
            for point, default in ((self.start, 0), (self.end, info.frames))
        )
        return last - first

    def keep(self, frames: Iterator[Frame], info: VideoInfo, origin: Fraction) -> Iterator[Frame]:
        """The frames between start and end."""
        for frame in frames:
            seconds = frame.timing.pts * info.time_base - origin
            if self.end and self.end.is_reached(frame.number, seconds):
                return
            if self.start is None or self.start.is_reached(frame.number, seconds):
                yield frame
