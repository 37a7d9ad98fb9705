"""The chroma of a segment's frames in a file, from which it can be encoded again without the network.

Chroma is always rounded to steps of 1/1022, four times finer than 8-bit video, before it is brought to the
picture's size. So stored chroma gives the same picture as new chroma. FFV1 packs it without loss.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from colorcli.color.ycbcr import Plane
from colorcli.video.ffmpeg import file_url
from colorcli.video.pixel_formats import samples

_STEPS = np.float32(1022)
"""Even, so that gray is one of the steps."""
_FORMAT = "gray10le"
_RATE = 25


def round_chroma(chroma: Plane) -> Plane:
    """Chroma [2, h, w] in [-0.5, 0.5] at the nearest steps."""
    return np.rint(np.clip(chroma, -0.5, 0.5) * _STEPS) / _STEPS


class ChromaWriter:
    """Writes rounded chroma. A context manager."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(file_url(path), "w", format="nut")
        self._stream: Any = None
        self._frames = 0

    def add(self, chromas: list[Plane] | None) -> None:
        """Add the chroma [2, h, w] of each view of the next frame, None if it keeps its color."""
        number, self._frames = self._frames, self._frames + 1
        if chromas is None:
            return
        planes = np.concatenate([plane for chroma in chromas for plane in chroma])
        height, width = planes.shape
        if self._stream is None:
            options = {"level": "3", "g": "1", "slices": "4"}
            self._stream = self._container.add_stream("ffv1", rate=_RATE, options=options)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, _FORMAT
            self._stream.codec_context.thread_count = 1
        frame = VideoFrame(width, height, _FORMAT)
        samples(frame.planes[0], np.uint16)[:] = np.rint((planes + np.float32(0.5)) * _STEPS)
        frame.pts, frame.time_base = number, Fraction(1, _RATE)
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()


def read_chroma(path: Path, views: int, first: int = 0) -> Iterator[tuple[int, list[Plane]]]:
    """Number within the segment and chroma [2, h, w] of each view, of the frames that are colorized.

    `first`: the number to begin with.

    Raises:
        av.FFmpegError: the file is damaged.
    """
    with av.open(file_url(path), format="nut") as container:
        for frame in _decoded(container, first):
            codes = samples(frame.planes[0], np.uint16)
            planes = codes.astype(np.float32) / _STEPS - np.float32(0.5)
            chroma = np.rint(planes * _STEPS) / _STEPS
            yield _number(frame), list(chroma.reshape(views, 2, -1, planes.shape[1]))


def _decoded(container: InputContainer, first: int) -> Iterator[VideoFrame]:
    """The frames from `first` on; each can be decoded without the others."""
    for packet in container.demux(video=0):
        if packet.pts is None or _number(packet) >= first:
            yield from packet.decode()


def _number(timed: VideoFrame | Packet) -> int:
    """The number within the segment."""
    assert timed.pts is not None and timed.time_base is not None
    return round(timed.pts * timed.time_base * _RATE)
