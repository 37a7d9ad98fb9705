"""The sink for numbered pictures."""

from collections.abc import Iterator

from colorcli.video.frames import ColoredFrame
from colorcli.video.picture_writer import PictureWriter
from colorcli.video.sinks.base import VideoSink
from colorcli.video.sources.base import FrameSource


class PictureSink(VideoSink):
    """Writes each frame as a picture with the frame's number."""

    def __init__(self, writer: PictureWriter, source: FrameSource) -> None:
        self._writer, self._source = writer, source

    def write(self, frames: Iterator[ColoredFrame]) -> None:
        for colored in frames:
            number = colored.frame.number
            self._writer.write(number, colored.picture, self._source.header(number))
