"""Short pieces from all over a film as one small film, to try settings on; nothing is encoded again."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
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
        self.pieces = self._ticks = self._delay = 0
        self._last: int | None = None
        """When the first frame of the piece before is shown."""

    @property
    def seconds(self) -> Fraction:
        """Length of all pieces."""
        return self._ticks * self._base

    def add(self, seconds: Fraction) -> None:
        """Add the piece that begins at the keyframe at or before a time, unless it was added already."""
        self._container.seek(int(seconds / self._base), stream=self._source)
        packets = self._piece()
        if not packets or (self._last is not None and packets[0][0] <= self._last):
            return
        first = self._last = packets[0][0]
        self.pieces += 1
        # Decoding times are computed: Matroska does not store any, and demuxers guess none after a seek.
        in_order = sorted(shown for shown, _ in packets)
        delay = max(due - shown for due, (shown, _) in zip(in_order, packets, strict=True))
        self._ticks += max(0, delay - self._delay)
        self._delay = max(delay, self._delay)
        shift = self._ticks - first
        for due, (shown, packet) in zip(in_order, packets, strict=True):
            packet.pts, packet.dts = shown + shift, due + shift - self._delay
            packet.stream = self._stream
            self._target.mux(packet)
        self._ticks += max(shown + (packet.duration or 1) for shown, packet in packets) - first

    def _piece(self) -> list[tuple[int, Packet]]:
        """From a keyframe on, each packet with the time at which it is shown, in decoding order."""
        packets: list[tuple[int, Packet]] = []
        for packet in self._container.demux(self._source):
            shown = packet.dts if packet.pts is None else packet.pts
            if shown is None or not (packets or packet.is_keyframe):
                continue
            if packets and shown - packets[0][0] >= PIECE / self._base:
                break
            if not packets or shown > packets[0][0]:  # what is shown before needs the frames before
                packets.append((shown, packet))
        return packets
