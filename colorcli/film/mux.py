"""Putting the encoded picture and the film's other streams into the output, none of them changed.

Streams are copied packet by packet, with their own timestamps, tags, dispositions and order. The encoder
counts frames; the film's true timestamps are given back to its packets here.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from colorcli.core.errors import InputError, RefusedError
from colorcli.film.footage import Footage

if TYPE_CHECKING:
    from av.container.core import Chapter

MOVIE_CLOCK = 90000
"""Ticks per second of the edit lists that place streams in MP4 and MOV; the muxer's 1000 are 1 ms coarse."""
REBUILT = {"tmcd", "text"}
"""Timecode and chapter tracks of QuickTime: its muxer makes them anew from tag and chapters."""
FORMATS = {"mkv": "matroska", "ts": "mpegts", "m2ts": "mpegts", "ps": "vob", "mpg": "vob", "m4v": "mp4"}
"""Suffixes that libavformat reads as something else, or not at all."""
OWN_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands"}
"""Tags that say which program and which kind of file, and are the muxer's to write."""
RETRY = "try another --codec"


@dataclass(frozen=True)
class Clip:
    """The part of the source that is kept, in seconds, and how far it moves to begin at 0."""

    start: Fraction | None = None
    end: Fraction | None = None

    @property
    def shift(self) -> Fraction:
        return self.start or Fraction(0)

    def holds(self, packet: Packet) -> bool:
        when = packet.pts if packet.pts is not None else packet.dts
        if when is None or packet.time_base is None:
            return True
        seconds = when * packet.time_base
        return (self.start is None or seconds >= self.start) and (self.end is None or seconds < self.end)


@dataclass(frozen=True)
class Timing:
    """When a frame is shown and for how long, in ticks of the film's clock."""

    pts: int
    duration: int


@dataclass
class Output:
    """An open output: the picture's stream, and the others by their index in the source."""

    container: OutputContainer
    picture: VideoStream
    others: dict[int, Stream]
    clip: Clip
    clock: Fraction
    written: int = field(default=0)

    def mux(self, packet: Packet) -> None:
        """Copy a packet of another stream, if its time is kept."""
        if packet.size and packet.stream_index in self.others and self.clip.holds(packet):
            packet.stream = self.others[packet.stream_index]
            if self.clip.start and packet.time_base:
                shift = round(self.clip.shift / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
            self.container.mux(packet)

    def mux_picture(self, packet: Packet) -> None:
        """Write a packet of the picture whose times are in the film's clock."""
        packet.time_base = self.clock
        packet.stream = self.picture
        self.container.mux(packet)
        self.written += 1


def format_of(path: Path) -> str:
    """The muxer for a file name.

    Raises:
        RefusedError: no container has that suffix.
    """
    suffix = path.suffix.lstrip(".").lower()
    name = FORMATS.get(suffix)
    if name:
        return name
    for candidate in sorted(av.formats_available):
        try:
            known = av.ContainerFormat(candidate, "w")
        except ValueError:
            continue
        if suffix in known.extensions and (known.name == suffix or suffix not in av.formats_available):
            return str(known.name)
    raise RefusedError(path, f"no film container is called .{suffix}", "name the output .mkv, .mp4 or .mov")


def passengers(source: InputContainer, film: Footage, format_name: str) -> list[Stream]:
    """The streams to be copied: all but the picture, and those that the muxer rebuilds itself."""
    rebuilds = format_name in ("mov", "mp4", "3gp", "ipod")
    return [
        stream
        for stream in source.streams
        if stream.index != film.stream
        and not (rebuilds and stream.type == "data" and getattr(stream, "codec_tag", "") in REBUILT)
    ]


def open_output(
    url: str,
    format_name: str,
    film: Footage,
    source: InputContainer,
    encoded: VideoStream,
    clip: Clip,
    extra_tags: dict[str, str],
    options: dict[str, str],
) -> Output:
    """Open an output with all streams in the source's order, its tags and chapters.

    Raises:
        RefusedError: the container cannot hold one of the streams; which, is said.
    """
    container = av.open(url, "w", format=format_name, container_options=_options(format_name, options))
    others: dict[int, Stream] = {}
    wanted = {stream.index for stream in passengers(source, film, format_name)}
    picture: VideoStream | None = None
    for stream in source.streams:
        if stream.index == film.stream:
            picture = _add_picture(container, film, stream, encoded)
        elif stream.index in wanted:
            others[stream.index] = _add_copy(container, stream, film.source)
    assert picture is not None
    container.metadata.update({**_tags(source, format_name), **extra_tags})
    container.set_chapters(_chapters(source, clip))
    return Output(container, picture, others, clip, film.time_base)


def _options(format_name: str, options: dict[str, str]) -> dict[str, str]:
    if format_name in ("mov", "mp4", "3gp", "ipod"):
        return {"movie_timescale": str(MOVIE_CLOCK), **options}
    return options


def _add_picture(
    container: OutputContainer, film: Footage, stream: Stream, encoded: VideoStream
) -> VideoStream:
    """The colorized stream: the encoder's parameters, everything else as the source has it."""
    try:
        picture = container.add_stream_from_template(encoded, opaque=True)
    except ValueError as error:
        raise RefusedError(
            film.source,
            f"{container.format.name} cannot hold {encoded.codec_context.name} pictures",
            "choose another --codec, or name the output .mkv",
        ) from error
    context = picture.codec_context
    if film.sample_aspect:
        context.sample_aspect_ratio = film.sample_aspect
    context.color_range = film.range or context.color_range
    context.colorspace, context.color_primaries = film.matrix_tag, film.primaries
    context.color_trc = film.transfer
    context.field_order = film.field_order
    if film.display_matrix:
        picture.set_display_matrix(film.display_matrix)
    picture.time_base = film.time_base
    _dress(picture, stream)
    return picture


def _add_copy(container: OutputContainer, stream: Stream, source: Path) -> Stream:
    try:
        # Data streams have no codec to be opaque about; all others are copied whole.
        copy: Stream = container.add_stream_from_template(stream, opaque=True)
    except (ValueError, av.FFmpegError) as error:
        raise _unheld(source, stream, container.format.name) from error
    _dress(copy, stream)
    copy.time_base = stream.time_base
    return copy


def _dress(copy: Stream, stream: Stream) -> None:
    copy.disposition = stream.disposition
    copy.metadata.update({key: value for key, value in stream.metadata.items() if key.lower() != "encoder"})


def _unheld(source: Path, stream: Stream, format_name: str) -> RefusedError:
    context = stream.codec_context
    kind = f"{stream.type} {context.name}" if context else stream.type
    better = ".mov" if stream.type == "data" else ".mkv"
    return RefusedError(
        source, f"stream {stream.index} ({kind}) cannot be kept in {format_name}", f"name the output {better}"
    )


def _tags(source: InputContainer, format_name: str) -> dict[str, str]:
    same_kind = format_name in source.format.name.split(",")
    dropped = {"encoder"} if same_kind else OWN_TAGS
    return {key: value for key, value in source.metadata.items() if key.lower() not in dropped}


def _chapters(source: InputContainer, clip: Clip) -> "list[Chapter]":
    """The source's chapters, cut to the clip."""
    kept = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        shift = round(clip.shift / base)
        latest = chapter["end"] if clip.end is None else min(chapter["end"], round(clip.end / base))
        start = max(chapter["start"], shift)
        if start < latest or (start == latest == chapter["end"]):
            kept.append({**chapter, "start": start - shift, "end": latest - shift})
    return kept  # type: ignore[return-value]


def retime(
    packets: Iterable[Packet], take: Callable[[int], Timing], *, depth: int, step: int, shift: int = 0
) -> Iterator[Packet]:
    """Encoded packets, whose pts count frames, with the film's times; `take` gives those of a frame.

    Decoding times are the sorted presentation times, delayed by the reorder depth: never later than a
    packet's own presentation, always rising, whatever the frame rate does. `step` is a frame's usual length
    and spaces the first `depth` of them, which come before anything is shown.

    Raises:
        InputError: the encoder gave frames that it was not given.
    """
    waiting: list[int] = []
    first = 0
    for count, packet in enumerate(packets):
        try:
            timing = take(packet.pts)  # type: ignore[arg-type]
        except (KeyError, IndexError) as error:
            raise InputError("ffmpeg", f"returned a frame {packet.pts} it was not given", RETRY) from error
        first = first if count else timing.pts
        heapq.heappush(waiting, timing.pts)
        early = depth - count
        packet.dts = (first - early * step if early > 0 else heapq.heappop(waiting)) - shift
        packet.pts, packet.duration = timing.pts - shift, timing.duration
        yield packet


def numbered(packets: Iterable[Packet], rate: Fraction, base: int = 0) -> Iterator[Packet]:
    """An encoder's packets, their pts made frame numbers from `base`; empty ones left out.

    The first shows frame 0: ffmpeg moves all times so that no decoding time is negative.
    """
    first: int | None = None
    for packet in packets:
        if packet.size and packet.pts is not None and packet.time_base is not None:
            first = packet.pts if first is None else first
            packet.pts = base + round((packet.pts - first) * packet.time_base * rate)
            yield packet


def due(packet: Packet) -> Fraction:
    """When a packet is to be decoded, in seconds; at once if it does not say."""
    when = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-(10**9)) if when is None or packet.time_base is None else when * packet.time_base
