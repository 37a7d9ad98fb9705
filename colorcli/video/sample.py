"""Short pieces from all over a film as one small film, to try settings on; nothing is encoded again."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from colorcli.errors import UsageError
from colorcli.video.probe import open_video, video_stream

PIECE = Fraction(2)
"""Seconds of a piece."""


@dataclass(frozen=True)
class Sample:
    """What was taken of a film."""

    pieces: int
    share: float
    """Of the film's picture, from 0 to 1, by time."""


def take_sample(film: Path, seconds: float, output: Path) -> Sample:
    """Write a Matroska file of pieces that begin at keyframes, evenly spaced; the picture alone, no sound.

    Raises:
        InputError: the film cannot be read.
        UsageError: the film does not say how long it is, or is no longer than the sample.
    """
    with open_video(film) as container:
        source = video_stream(container, film)
        length = Fraction(container.duration or 0, av.time_base)
        if length <= seconds:
            known = f"has {float(length):.0f} seconds" if length else "does not say its length"
            raise UsageError(f"--sample {seconds:g}s", f"the film {known}", "leave --sample out")
        count = max(1, round(seconds / PIECE))
        start = Fraction(container.start_time or 0, av.time_base)
        with av.open(str(output), "w", format="matroska") as target:
            copied = _Copied(container, source, target)
            for index in range(count):
                copied.add(start + length * index / count)
    return Sample(copied.pieces, float(copied.seconds / length))


class _Copied:
    """The pieces so far, one after another on a rising clock."""

    def __init__(self, container: InputContainer, source: VideoStream, target: OutputContainer) -> None:
        assert source.time_base is not None
        self._container, self._source, self._target = container, source, target
        self._base = source.time_base
        self._stream = target.add_stream_from_template(source)
        self.pieces = self._ticks = 0
        self._last: int | None = None
        """Decoding time of the first packet of the piece before."""

    @property
    def seconds(self) -> Fraction:
        """Length of all pieces."""
        return self._ticks * self._base

    def add(self, seconds: Fraction) -> None:
        """Add the piece that begins at the keyframe at or before a time, unless it was added already."""
        self._container.seek(int(seconds / self._base), stream=self._source)
        decoded = shown = None
        shift = end = 0
        for packet in self._container.demux(self._source):
            if packet.dts is None or packet.pts is None:
                continue
            if decoded is None or shown is None:
                if self._last is not None and packet.dts <= self._last:
                    return
                decoded, shown = packet.dts, packet.pts
                self._last = decoded
                shift = self._ticks - decoded
                self.pieces += 1
            if packet.dts - decoded >= PIECE / self._base:
                break
            # The next piece begins after the last frame shown, which need not be the last one decoded.
            end = max(end, packet.pts + (packet.duration or 0) - shown)
            packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
            packet.stream = self._stream
            self._target.mux(packet)
        self._ticks += end
