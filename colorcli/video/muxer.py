"""Putting the encoded picture and the film's other streams into the output, none of them changed.

Streams are copied packet by packet, with their own timestamps, tags, dispositions and order. The encoder
counts frames; the film's true timestamps are given back to its packets here.
"""

import heapq
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import ffmpeg
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from colorcli.errors import InputError, RefusedError
from colorcli.video.ffmpeg import find_ffmpeg
from colorcli.video.info import VideoInfo

if TYPE_CHECKING:
    from av.container.core import Chapter

MOVIE_CLOCK = 90000
"""Ticks per second of the edit lists that place streams in MP4 and MOV; the muxer's 1000 are 1 ms coarse."""
FORMATS = {"mkv": "matroska", "ts": "mpegts", "m2ts": "mpegts", "ps": "vob", "mpg": "vob", "m4v": "mp4"}
"""Suffixes that libavformat reads as something else, or not at all."""
QUICKTIME = ("mov", "mp4", "3gp", "ipod")
PICTURE_ONLY = ("yuv4mpegpipe",)
PACED = ("yuv4mpegpipe", "avi")
"""Formats without timestamps: a frame's place gives its time, at a rate that stands in the header."""
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


def copied_streams(source: InputContainer, film: VideoInfo, format_name: str) -> set[int]:
    """Indices of the streams to be copied: all but the picture and what is made anew."""
    if format_name in PICTURE_ONLY:
        return set()
    return {
        stream.index
        for stream in source.streams
        if stream.index != film.stream and not _is_rebuilt(stream, source)
    }


def _is_rebuilt(stream: Stream, source: InputContainer) -> bool:
    """Whether a data stream only repeats what the output has anyway: QuickTime's timecode and chapter tracks.

    Muxers make them anew from the `timecode` tag and the chapters, and take them from nowhere else.
    """
    if stream.type != "data" or "mov" not in source.format.name:
        return False
    return "timecode" in stream.metadata or (stream.name == "bin_data" and bool(source.chapters()))


def open_output(
    url: str,
    format_name: str,
    film: VideoInfo,
    source: InputContainer | None,
    encoded: VideoStream,
    clip: Clip,
    extra_tags: dict[str, str],
    wanted: set[int] | None = None,
) -> Output:
    """Open an output with all streams in the source's order, its tags and chapters.

    Args:
        source: the film itself, None if it is numbered pictures.
        encoded: the encoder's stream, whose parameters the picture gets.
        wanted: indices of the streams to copy, `copied_streams` if None.

    Raises:
        RefusedError: the container cannot hold one of the streams; which, is said.
    """
    container = av.open(url, "w", format=format_name, container_options=_options(source, format_name))
    if source is None:
        picture = _add_picture(container, film, None, encoded)
        container.metadata.update(extra_tags)
        return Output(container, picture, {}, clip, film.time_base)
    others: dict[int, Stream] = {}
    wanted = copied_streams(source, film, format_name) if wanted is None else wanted
    for stream in source.streams:
        if stream.index == film.stream:
            picture = _add_picture(container, film, stream, encoded)
        elif stream.index in wanted:
            others[stream.index] = _add_copy(container, stream, film.source)
    container.metadata.update({**_tags(source, format_name), **extra_tags})
    container.set_chapters(_chapters(source, clip))
    return Output(container, picture, others, clip, film.time_base)


def _options(source: InputContainer | None, format_name: str) -> dict[str, str]:
    if format_name not in QUICKTIME:
        # Sound that is primed before 0 must not push all the rest forward.
        return {"avoid_negative_ts": "disabled"} if format_name in ("matroska", "webm") else {}
    options = {"movie_timescale": str(MOVIE_CLOCK)}
    # Keys in reverse-DNS style are kept only in QuickTime's own metadata atom, which players know less well.
    if source is not None and any("." in key for key in source.metadata):
        options["movflags"] = "use_metadata_tags"
    return options


def _add_picture(
    container: OutputContainer, film: VideoInfo, stream: Stream | None, encoded: VideoStream
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
    if encoded.codec_context.name == "rawvideo":
        # The tag says which pixel format it is; NUT would otherwise guess.
        context.codec_tag = encoded.codec_context.codec_tag
    if film.sample_aspect:
        context.sample_aspect_ratio = film.sample_aspect
    context.color_range = film.range or context.color_range
    context.colorspace, context.color_primaries = film.matrix_tag, film.primaries
    context.color_trc = film.transfer
    context.field_order = film.field_order
    context.framerate = film.rate
    if film.display_matrix:
        picture.set_display_matrix(film.display_matrix)
    picture.time_base = 1 / film.rate if container.format.name in PACED else film.time_base
    if stream is not None:
        _dress(picture, stream)
        picture.metadata.pop("encoder", None)
        picture.metadata.pop("ENCODER", None)
    return picture


def _add_copy(container: OutputContainer, stream: Stream, source: Path) -> Stream:
    try:
        # Data streams have no codec to be opaque about; all others are copied whole.
        copy: Stream = container.add_stream_from_template(stream, opaque=True)
    except (ValueError, av.FFmpegError) as error:
        raise unheld(source, stream, container.format.name) from error
    _dress(copy, stream)
    copy.time_base = stream.time_base
    return copy


def _dress(copy: Stream, stream: Stream) -> None:
    copy.disposition = stream.disposition
    copy.metadata.update(stream.metadata)


def unheld(source: Path, stream: Stream, format_name: str) -> RefusedError:
    context = stream.codec_context
    kind = f"{stream.type} {context.name}" if context else stream.type
    return RefusedError(
        source,
        f"stream {stream.index} ({kind}) cannot be kept in {format_name}",
        "name the output .mkv, .mov or .nut, whichever holds it, or take that stream out first",
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


def state_aspect(path: Path, film: VideoInfo) -> None:
    """Write the sample aspect ratio into a finished Matroska file, streams copied as they are.

    PyAV cannot set it on a stream, and Matroska's muxer takes it from nowhere else. Not all codecs say it
    themselves, so without this, anamorphic tapes would come out squeezed in some players.

    Raises:
        InputError: ffmpeg failed.
    """
    if film.sample_aspect in (None, 1):
        return
    shape = film.sample_aspect * film.width / film.height
    restated = path.with_name(f"{path.name}.aspect.mkv")
    copied = ffmpeg.output(
        ffmpeg.input(f"file:{path}", copyts=None, format="matroska"),
        f"file:{restated}",
        map=0,
        c="copy",
        copy_unknown=None,
        avoid_negative_ts="disabled",
        format="matroska",
        **{"aspect:v:0": f"{shape.numerator}:{shape.denominator}"},
    ).global_args("-hide_banner", "-v", "error", "-nostats", "-nostdin", "-y")
    command = [str(part) for part in ffmpeg.compile(copied, cmd=find_ffmpeg())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InputError(path, f"ffmpeg failed: {done.stderr}", "name the output .mp4 or .mov")
        restated.replace(path)
    finally:
        restated.unlink(missing_ok=True)
