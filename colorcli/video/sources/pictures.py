"""Numbered pictures, `frame_%06d.tif|png|dpx`, read as the frames of a video."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.video.frame import VideoFrame

from colorcli.errors import InputError, UsageError
from colorcli.video import dpx
from colorcli.video.formats import FRAME_NUMBER
from colorcli.video.frames import Frame, Timing
from colorcli.video.part import Place
from colorcli.video.probe import picture_sequence_info
from colorcli.video.sources.base import FrameSource

DEFAULT_RATE = Fraction(24)
"""Frames per second of pictures that state none, as only DPX can: 24 is the rate of film since sound."""
_SLOWEST, _FASTEST = Fraction(1, 10), 1000
_OPTIONS = {
    "format_whitelist": "image2,png_pipe,tiff_pipe,dpx_pipe",
    "protocol_whitelist": "file",
    # A name that contains a % is a name, not another pattern.
    "pattern_type": "none",
}


class PictureSource(FrameSource):
    """Numbered pictures; each frame keeps its picture's number."""

    def __init__(self, pattern: Path, rate: Fraction | None = None) -> None:
        """Find the pictures of a pattern; `rate` in frames per second overrides what they say.

        Raises:
            InputError: there are none, or the first cannot be read.
        """
        super().__init__(pattern)
        self._rate = rate
        self._files = numbered_files(pattern)
        if not self._files:
            raise InputError(pattern, "no picture matches it", "check the pattern, as in frame_%06d.png")
        number, path = next(iter(self._files.items()))
        rate = rate or dpx.rate_of(self.header(number)) or DEFAULT_RATE
        self.info = picture_sequence_info(pattern, _read(path), rate, len(self._files))

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """First and last number of each run of missing pictures."""
        return [(a + 1, b - 1) for a, b in pairwise(self._files) if b > a + 1]

    def frames(self, near: Place | None = None) -> Iterator[Frame]:
        """Every picture; the one before a gap is shown for longer.

        Raises:
            InputError: one cannot be read, or differs from the first in size or pixel format.
        """
        numbers = list(self._files)
        format_of_first = (self.info.width, self.info.height, self.info.pix_fmt)
        earliest = numbers[0] if near is None else numbers[0] + near.earlier_pts
        for number, following in pairwise([*numbers, numbers[-1] + 1]):
            if number < earliest:
                continue
            picture = _read(self._files[number])
            if (picture.width, picture.height, picture.format.name) != format_of_first:
                cause = "differs from the first picture in size or kind"
                raise InputError(self._files[number], cause, "colorize it separately")
            yield Frame(number, Timing(number - numbers[0], following - number), picture)

    def identity(self) -> list[tuple[str, int]]:
        """Names and sizes."""
        return [(path.name, path.stat().st_size) for path in self._files.values()]

    def reopen(self) -> "PictureSource":
        return PictureSource(self.path, self._rate)

    def header(self, number: int) -> bytes:
        """The first bytes of a picture, up to the end of a DPX header."""
        with self._files[number].open("rb") as picture:
            return picture.read(dpx.HEADER_END)


def parse_rate(text: str) -> Fraction:
    """Read the value of --fps: 18, 16.67 or 24000/1001.

    Raises:
        UsageError: it is not a rate between 1/10 and 1,000.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not _SLOWEST <= rate <= _FASTEST:
        raise UsageError(f"--fps {text}", "is not a number of frames per second", "as 18, 16.67, 24000/1001")
    return rate


def numbered_files(pattern: Path) -> dict[int, Path]:
    """Frame number -> existing file of a pattern, in order."""
    found = FRAME_NUMBER.search(pattern.name)
    assert found is not None
    digits = int(found[1] or 1)
    before, after = re.escape(pattern.name[: found.start()]), re.escape(pattern.name[found.end() :])
    name = re.compile(f"{before}([0-9]{{{digits},}}){after}")
    if not pattern.parent.is_dir():
        return {}
    files = {int(m[1]): path for path in pattern.parent.iterdir() if (m := name.fullmatch(path.name))}
    return {number: files[number] for number in sorted(files)}


def _read(path: Path) -> VideoFrame:
    try:
        with av.open(f"file:{path}", format="image2", options=_OPTIONS) as file:
            return next(file.decode(video=0))
    except (av.FFmpegError, StopIteration) as error:
        raise InputError(path, "cannot be read as a picture", "check that it is whole") from error
