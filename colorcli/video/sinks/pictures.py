"""The sink for numbered pictures, `frame_%06d.tif|png|dpx`."""

from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import VideoFrame

from colorcli.errors import RefusedError
from colorcli.files import atomic_write
from colorcli.video import dpx
from colorcli.video.frames import ColoredFrame
from colorcli.video.part import Part
from colorcli.video.pixel_formats import Layout, rgb_layout
from colorcli.video.sinks.base import Summaries, VideoSink
from colorcli.video.sources.base import FrameSource
from colorcli.video.sources.pictures import DEFAULT_RATE, numbered_files

_PNG = ("png", {8: "rgb24", 16: "rgb48be"}, {8: "rgba", 16: "rgba64be"})
_TIFF = ("tiff", {8: "rgb24", 16: "rgb48le"}, {8: "rgba", 16: "rgba64le"})
_DPX = ("dpx", {8: "rgb24", 10: "gbrp10le", 12: "gbrp12le", 16: "rgb48le"}, {8: "rgba", 16: "rgba64le"})
_FORMATS = {".png": _PNG, ".tif": _TIFF, ".tiff": _TIFF, ".dpx": _DPX}
"""Suffix -> encoder, and bit depth -> pixel format without and with transparency."""


class PictureWriter:
    """Writes frames as numbered pictures, each whole or not at all."""

    def __init__(self, pattern: Path, source: Layout) -> None:
        """Choose the pictures' pixel format; bit depths that a format lacks become the next deeper one.

        Raises:
            RefusedError: such pictures cannot be written.
        """
        picture_format = _FORMATS.get(pattern.suffix.lower())
        if picture_format is None:
            raise RefusedError(pattern, f"{pattern.suffix} pictures cannot be written", "use png, tif or dpx")
        self._pattern = pattern
        self.codec, opaque, transparent = picture_format
        formats = transparent if source.alpha else opaque
        depth = next((bits for bits in sorted(formats) if bits >= source.bits), max(formats))
        self._pix_fmt = formats[depth]
        self.layout = rgb_layout(depth, alpha=source.alpha)

    def existing(self) -> Path | None:
        """A picture that exists already, if any."""
        return next(iter(numbered_files(self._pattern).values()), None)

    def path(self, number: int) -> Path:
        """The file of a frame."""
        return self._pattern.with_name(self._pattern.name % number)

    def write(self, number: int, picture: VideoFrame, source_header: bytes) -> None:
        """Write a frame; a DPX picture gets the film and television headers from its source's header.

        Raises:
            InputError: folder or disk do not permit it.
        """
        context = av.CodecContext.create(self.codec, "w")
        context.width, context.height = picture.width, picture.height  # type: ignore[attr-defined]
        context.pix_fmt, context.time_base = self._pix_fmt, 1 / DEFAULT_RATE  # type: ignore[attr-defined]
        picture.pts = 0
        converted = picture.reformat(format=self._pix_fmt)
        packets = [*context.encode(converted), *context.encode(None)]  # type: ignore[attr-defined]
        encoded = b"".join(bytes(packet) for packet in packets)
        if self.codec == "dpx":
            encoded = dpx.with_film_header(encoded, source_header)
        with atomic_write(self.path(number)) as partial:
            partial.write_bytes(encoded)


class PictureSink(VideoSink):
    """Writes each frame as a picture with the frame's number."""

    def __init__(self, writer: PictureWriter, source: FrameSource) -> None:
        self._writer, self._source = writer, source

    def write(self, frames: Iterator[ColoredFrame], part: Part, summaries: Summaries) -> None:
        for colored in frames:
            number = colored.frame.number
            self._writer.write(number, colored.picture, self._source.header(number))
