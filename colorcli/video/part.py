"""A part of a video that is colorized in one go: what precedes it, and where it is found in the source."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from colorcli.video.corrections import Correction
from colorcli.video.frames import Agreement, Findings, Frame
from colorcli.video.shot_summary import ShotSummary
from colorcli.video.temporal_colorizer import Keyframe

WARM_UP = 4
"""Frames before a place that filters are given after seeking; deinterlacing needs two."""


@dataclass(frozen=True)
class Place:
    """A frame that was read before, so that the source can be read from it again."""

    number: int
    pts: int
    earlier_pts: int
    """Of a frame a few frames before it, from which filters that need earlier frames are warm."""
    checksum: int
    """As `frame_checksum` gives it: in a file that cannot be sought safely it is another one."""


@dataclass(frozen=True)
class StoredShot:
    """A whole shot for which an earlier run decided the same, and whose colors it has stored."""

    start: int
    """Number of its first frame."""
    end: int
    """Number of the frame after its last."""
    chroma: Path
    """Where its colors are stored (`chroma_store`)."""
    place: int
    """Of its first frame there."""
    agreement: Agreement | None
    """Of its keyframes."""


@dataclass(frozen=True)
class Part:
    """Consecutive frames to be colorized; the default is the whole video."""

    position: int = 0
    """How many of the output's frames precede it."""
    before: Place | None = None
    """The frame before its first one."""
    chain_start: int = 0
    """The position from which its first frame depends on others: its own, unless it continues a shot."""
    has_color: bool = False
    """Whether the frame before has color of its own."""
    keeps_color: bool | None = None
    """Whether the frame before keeps its color; None at the beginning."""
    keyframe: Keyframe | None = None
    """The frame before, if the first one continues its shot."""
    open_shot: ShotSummary | None = None
    """What the report has of the shot that the first frame continues."""
    shots_before: int = 0
    """How many shots start before it."""
    length: int | None = None
    """How many frames it has; None to the end of the video."""
    last: int | None = None
    """Number of its last frame; None to the end of the video."""
    redone: tuple[int, int] = (0, 0)
    """How many of its frames counted as finished, and how many of these keep their color."""
    chroma: Path | None = None
    """Where its colors are stored (`chroma_store`), if it is only to be encoded again."""
    stored: Sequence[StoredShot] = ()
    """Shots in it that keep their colors, unless they remember others (`kept_shots`)."""
    findings: Sequence[Findings] | None = None
    """What a planning pass found in its frames; None to find it now."""
    corrections: Sequence[Correction] | None = None
    """With `findings`: what corrects the first and last keyframes of its shots; None without memory."""
    recalled: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """What the shots that began in earlier runs had colors from, as `Memory.recalled`."""

    @property
    def first_number(self) -> int:
        """The number of its first frame, or a smaller one after the frame before."""
        return 0 if self.before is None else self.before.number + 1


def frame_checksum(frame: Frame) -> int:
    """CRC-32 of the duration and the luma of a planar frame, without the padding of its rows."""
    picture = frame.picture
    plane = picture.planes[0]
    rows = memoryview(plane)
    width = plane.width * (picture.format.components[0].bits + 7 >> 3)
    checksum = zlib.crc32(str(frame.timing.duration).encode())
    for top in range(0, plane.height * plane.line_size, plane.line_size):
        checksum = zlib.crc32(rows[top : top + width], checksum)
    return checksum
