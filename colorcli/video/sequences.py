"""Film as numbered pictures, `frame_%06d.tif|png|dpx`: in and out, every frame under its own number."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from colorcli.errors import InputError, RefusedError
from colorcli.files import atomic_write
from colorcli.video import dpx
from colorcli.video.formats import FRAME_NUMBER
from colorcli.video.frame_converter import Layout, layout
from colorcli.video.info import picture_facts
from colorcli.video.muxer import Timing
from colorcli.video.reader import Frame

RATE = Fraction(24)
"""Of pictures that say none, as only DPX may: 24 frames a second is film's own since sound."""
PNG = ("png", {8: "rgb24", 16: "rgb48be"}, {8: "rgba", 16: "rgba64be"})
TIFF = ("tiff", {8: "rgb24", 16: "rgb48le"}, {8: "rgba", 16: "rgba64le"})
DPX = ("dpx", {8: "rgb24", 10: "gbrp10le", 12: "gbrp12le", 16: "rgb48le"}, {8: "rgba", 16: "rgba64le"})
PICTURES = {".png": PNG, ".tif": TIFF, ".tiff": TIFF, ".dpx": DPX}
"""Suffix -> encoder, and the pixel format for each bit depth, without transparency and with it; a depth
between two takes the deeper."""


class SequenceReader:
    """Numbered pictures read as a film's frames; the counterpart of `VideoReader`."""

    def __init__(self, pattern: Path) -> None:
        """Find the pictures of a pattern.

        Raises:
            InputError: there are none, or the first cannot be read.
        """
        self.source = pattern
        self.container = None
        self.packets: deque[Packet] = deque()
        self.damaged = 0
        self._files = _numbered_files(pattern)
        if not self._files:
            raise InputError(pattern, "no pictures are named so", "check the pattern, as in frame_%06d.png")
        first = _read(next(iter(self._files.values())))
        rate = dpx.rate_of(self.head(next(iter(self._files)))) or RATE
        self.info = picture_facts(pattern, first, rate, len(self._files))

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """First and last number of each run of missing pictures."""
        numbers = list(self._files)
        return [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]

    def frames(self) -> Iterator[Frame]:
        """Every picture, under its number; a gap leaves the one before it standing longer.

        Raises:
            InputError: one cannot be read, or is not of the first one's size and kind.
        """
        numbers = list(self._files)
        facts = (self.info.width, self.info.height, self.info.pix_fmt)
        for number, following in zip(numbers, [*numbers[1:], numbers[-1] + 1], strict=True):
            picture = _read(self._files[number])
            if (picture.width, picture.height, picture.format.name) != facts:
                raise InputError(self._files[number], "differs from the first in size or kind", "do it apart")
            yield Frame(number, Timing(number - numbers[0], following - number), picture)

    def head(self, number: int) -> bytes:
        """The first bytes of a picture, as far as a DPX header goes."""
        with self._files[number].open("rb") as picture:
            return picture.read(dpx.END)

    def identity(self) -> list[tuple[str, int]]:
        """Names and sizes: what ties a continued run to these pictures."""
        return [(path.name, path.stat().st_size) for path in self._files.values()]

    def is_cut_short(self, last: Timing) -> bool:
        """Never: there is no header to promise more."""
        return False

    def close(self) -> None:
        """Nothing is kept open."""


class PictureWriter:
    """Writes frames as numbered pictures, each whole or not at all."""

    def __init__(self, pattern: Path, source: Layout) -> None:
        """Settle the pictures' kind.

        Raises:
            RefusedError: no such pictures can be written.
        """
        kind = PICTURES.get(pattern.suffix.lower())
        if kind is None:
            raise RefusedError(pattern, f"{pattern.suffix} pictures cannot be written", "use png, tif or dpx")
        self._pattern = pattern
        self.codec, opaque, transparent = kind
        formats = transparent if source.alpha else opaque
        depth = next((bits for bits in sorted(formats) if bits >= source.bits), max(formats))
        self._pix_fmt = formats[depth]
        painted = layout(f"gbr{'a' if source.alpha else ''}p{f'{depth}le' if depth > 8 else ''}")
        assert painted is not None
        self.layout = painted

    def existing(self) -> Path | None:
        """A picture that is there already, if any."""
        return next(iter(_numbered_files(self._pattern).values()), None)

    def path(self, number: int) -> Path:
        """The picture of a frame."""
        return self._pattern.with_name(self._pattern.name % number)

    def write(self, number: int, frame: VideoFrame, head: bytes) -> None:
        """Write a frame; of the source's `head`, a DPX picture takes what is said of the film.

        Raises:
            InputError: the folder or disk does not let it.
        """
        context = av.CodecContext.create(self.codec, "w")
        context.width, context.height = frame.width, frame.height  # type: ignore[attr-defined]
        context.pix_fmt, context.time_base = self._pix_fmt, 1 / RATE  # type: ignore[attr-defined]
        frame.pts = 0
        picture = frame.reformat(format=self._pix_fmt)
        packets = [*context.encode(picture), *context.encode(None)]  # type: ignore[attr-defined]
        encoded = b"".join(bytes(packet) for packet in packets)
        if self.codec == "dpx":
            encoded = dpx.with_film_header(encoded, head)
        with atomic_write(self.path(number)) as partial:
            partial.write_bytes(encoded)


def write_pictures(
    frames: Iterator[tuple[int, VideoFrame]],
    writer: PictureWriter,
    head: Callable[[int], bytes],
    tick: Callable[[int], None],
) -> None:
    """Write all frames; `head` gives a source picture's first bytes, `tick` is told how many are done."""
    for done, (number, frame) in enumerate(frames, 1):
        writer.write(number, frame, head(number))
        tick(done)


def _numbered_files(pattern: Path) -> dict[int, Path]:
    """Number -> file, in order."""
    found = FRAME_NUMBER.search(pattern.name)
    assert found is not None
    width = int(found[1] or 1)
    before, after = re.escape(pattern.name[: found.start()]), re.escape(pattern.name[found.end() :])
    name = re.compile(f"{before}([0-9]{{{width},}}){after}")
    if not pattern.parent.is_dir():
        return {}
    files = {int(m[1]): path for path in pattern.parent.iterdir() if (m := name.fullmatch(path.name))}
    return {number: files[number] for number in sorted(files)}


def _read(path: Path) -> VideoFrame:
    options = {"format_whitelist": "image2,png_pipe,tiff_pipe,dpx_pipe", "protocol_whitelist": "file"}
    try:
        # "none": a name that holds a % is a name, not another pattern.
        with av.open(f"file:{path}", format="image2", options={**options, "pattern_type": "none"}) as file:
            return next(file.decode(video=0))
    except (av.FFmpegError, StopIteration) as error:
        raise InputError(path, "cannot be read as a picture", "check that it is whole") from error
