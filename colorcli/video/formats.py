"""Which files are video, by name and by first bytes. Needs nothing but the standard library."""

import re
from pathlib import Path

VIDEO_SUFFIXES = frozenset((
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts",
    ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".3gp", ".3g2", ".mxf", ".dv", ".y4m", ".nut", ".mjpeg", ".mjpg",
))  # fmt: skip
FRAME_NUMBER = re.compile(r"%0?(\d*)d")
"""The printf pattern that stands for a frame's number in a file name; group 1: the fewest digits."""
_MPEG_PROGRAM_STREAM = b"\0\0\1\xba"


def is_frame_pattern(path: Path) -> bool:
    """Whether a path names numbered pictures, as `frame_%06d.png` does; `%d.mkv` is one video file."""
    return FRAME_NUMBER.search(path.name) is not None and path.suffix.lower() not in VIDEO_SUFFIXES


def is_video(head: bytes) -> bool:
    """Whether a file that begins with `head` is video although its suffix may belong to another format.

    MPEG program streams are often called `.ps`, as PostScript files are.
    """
    return head.startswith(_MPEG_PROGRAM_STREAM)
