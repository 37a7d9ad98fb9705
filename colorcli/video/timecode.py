"""Points in time as people write them: `12.5`, `12.5s`, `00:01:02.5`, `00:01:02:12`, `300f`."""

import re
from dataclasses import dataclass
from fractions import Fraction

from colorcli.errors import UsageError

_NUMBER = r"\d+(?:\.\d+)?"
_FRAME = re.compile(r"(\d+)f")
_SECONDS = re.compile(rf"({_NUMBER})s?")
_CLOCK = re.compile(rf"(?:(\d+):)?(\d+):({_NUMBER})")
_TIMECODE = re.compile(r"(\d+):(\d+):(\d+):(\d+)")


@dataclass(frozen=True)
class Timecode:
    """A point in a video: seconds from its start, or a frame number from 0."""

    seconds: Fraction | None = None
    frame: int | None = None

    def in_seconds(self, rate: Fraction) -> Fraction:
        return self.seconds if self.seconds is not None else (self.frame or 0) / rate

    def is_reached(self, frame: int, seconds: Fraction) -> bool:
        """Whether the frame with this number and time lies at or after this point."""
        return frame >= self.frame if self.frame is not None else seconds >= (self.seconds or 0)


def parse_timecode(text: str, rate: Fraction) -> Timecode:
    """Parse a point in time; `rate` is the video's frame rate, in which a timecode counts frames.

    Raises:
        UsageError: the text has none of the forms.
    """
    text = text.strip()
    if found := _FRAME.fullmatch(text):
        return Timecode(frame=int(found[1]))
    if found := _SECONDS.fullmatch(text):
        return Timecode(Fraction(found[1]))
    if found := _TIMECODE.fullmatch(text):
        hours, minutes, seconds, frames = map(int, found.groups())
        # Non-drop-frame: a timecode counts frames at the rounded rate (SMPTE ST 12-1).
        return Timecode(frame=((hours * 60 + minutes) * 60 + seconds) * round(rate) + frames)
    if found := _CLOCK.fullmatch(text):
        return Timecode(Fraction(int(found[1] or 0) * 3600 + int(found[2]) * 60) + Fraction(found[3]))
    raise UsageError(text, "is not a time or a frame", "write 12.5, 00:01:02.5, 00:01:02:12 or 300f")


def clock(frame: int, rate: Fraction) -> str:
    """Hours, minutes and seconds to the thousandth."""
    thousandths = round(frame * 1000 / rate)
    seconds, rest = divmod(thousandths, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"
