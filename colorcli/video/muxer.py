"""Muxing the encoded video and the source's other streams into the output.

The other streams are copied packet by packet, with their timestamps, tags, dispositions and order.
"""

import subprocess
from dataclasses import dataclass
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
from colorcli.video.containers import CONSTANT_RATE, MATROSKA, QUICKTIME, VIDEO_ONLY
from colorcli.video.ffmpeg import FAILURE, file_url, find_ffmpeg
from colorcli.video.info import VideoInfo
from colorcli.video.trim import Clip

if TYPE_CHECKING:
    from av.container.core import Chapter

_MOVIE_TIMESCALE = 90000
"""Ticks per second of the edit lists that place streams in MP4 and MOV; the muxer's default is 1000."""
_MUXER_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands"}
"""Tags that describe program and file type, which the muxer writes itself."""


@dataclass
class Output:
    """An open output container."""

    container: OutputContainer
    video: VideoStream
    copies: dict[int, Stream]
    """The copied streams, by their index in the source."""
    clip: Clip
    time_base: Fraction
    """Of the source's video stream, in which the video packets' times are."""
    video_packets: int = 0
    """How many were written."""

    def mux_copy(self, packet: Packet) -> None:
        """Copy a packet of another stream, if it lies within the clip."""
        if packet.size and packet.stream_index in self.copies and self.clip.holds(packet):
            packet.stream = self.copies[packet.stream_index]
            if self.clip.start and packet.time_base:
                shift = round(self.clip.shift / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
            self.container.mux(packet)

    def mux_video(self, packet: Packet) -> None:
        """Write a video packet whose times are in `time_base`."""
        packet.time_base = self.time_base
        packet.stream = self.video
        self.container.mux(packet)
        self.video_packets += 1


def copied_streams(source: InputContainer, info: VideoInfo, format_name: str) -> set[int]:
    """Indices of the streams to be copied: all but the video, and what the muxer writes itself."""
    if format_name in VIDEO_ONLY:
        return set()
    return {
        stream.index
        for stream in source.streams
        if stream.index != info.stream and not _is_rebuilt(stream, source)
    }


def _is_rebuilt(stream: Stream, source: InputContainer) -> bool:
    """Whether it is a timecode or chapter track of QuickTime.

    Muxers create these from the `timecode` tag and the chapters, and accept them in no other way.
    """
    if stream.type != "data" or "mov" not in source.format.name:
        return False
    return "timecode" in stream.metadata or (stream.name == "bin_data" and bool(source.chapters()))


def open_output(
    url: str,
    format_name: str,
    info: VideoInfo,
    source: InputContainer | None,
    encoded: VideoStream,
    clip: Clip,
    extra_tags: dict[str, str],
    wanted: set[int] | None = None,
) -> Output:
    """Open an output with all streams in the source's order, its tags and chapters.

    Args:
        source: the source's container, None for numbered pictures.
        encoded: the encoder's stream, whose parameters the video stream gets.
        wanted: indices of the streams to copy, `copied_streams` if None.

    Raises:
        RefusedError: the container cannot hold one of the streams; the message says which.
    """
    container = av.open(url, "w", format=format_name, container_options=_options(source, format_name))
    if source is None:
        video = _add_video(container, info, None, encoded)
        container.metadata.update(extra_tags)
        return Output(container, video, {}, clip, info.time_base)
    copies: dict[int, Stream] = {}
    wanted = copied_streams(source, info, format_name) if wanted is None else wanted
    for stream in source.streams:
        if stream.index == info.stream:
            video = _add_video(container, info, stream, encoded)
        elif stream.index in wanted:
            copies[stream.index] = _add_copy(container, stream, info.source)
    container.metadata.update({**_tags(source, format_name), **extra_tags})
    container.set_chapters(_chapters(source, clip))
    return Output(container, video, copies, clip, info.time_base)


def _options(source: InputContainer | None, format_name: str) -> dict[str, str]:
    if format_name not in QUICKTIME:
        # Audio with priming samples before 0 must not shift all other streams.
        return {"avoid_negative_ts": "disabled"} if format_name in MATROSKA else {}
    options = {"movie_timescale": str(_MOVIE_TIMESCALE)}
    # Keys in reverse-DNS style are kept only in QuickTime's own metadata atom, which fewer players read.
    if source is not None and any("." in key for key in source.metadata):
        options["movflags"] = "use_metadata_tags"
    return options


def _add_video(
    container: OutputContainer, info: VideoInfo, stream: Stream | None, encoded: VideoStream
) -> VideoStream:
    """Add the colorized stream: the encoder's parameters, everything else as in the source."""
    try:
        video = container.add_stream_from_template(encoded, opaque=True)
    except ValueError as error:
        cause = f"{container.format.name} cannot hold {encoded.codec_context.name} video"
        raise RefusedError(info.source, cause, "choose another --codec, or name the output .mkv") from error
    context = video.codec_context
    if encoded.codec_context.name == "rawvideo":
        # The tag states the pixel format, which the NUT muxer would otherwise guess.
        context.codec_tag = encoded.codec_context.codec_tag
    if info.sample_aspect:
        context.sample_aspect_ratio = info.sample_aspect
    context.color_range = info.range or context.color_range
    context.colorspace, context.color_primaries = info.matrix_tag, info.primaries
    context.color_trc = info.transfer
    context.field_order = info.field_order
    context.framerate = info.rate
    if info.display_matrix:
        video.set_display_matrix(info.display_matrix)
    video.time_base = 1 / info.rate if container.format.name in CONSTANT_RATE else info.time_base
    if stream is not None:
        _copy_description(stream, video)
        video.metadata.pop("encoder", None)
        video.metadata.pop("ENCODER", None)
    return video


def _add_copy(container: OutputContainer, stream: Stream, source: Path) -> Stream:
    try:
        # "opaque" copies the parameters without knowing the codec.
        copy: Stream = container.add_stream_from_template(stream, opaque=True)
    except (ValueError, av.FFmpegError) as error:
        raise unsupported_stream(source, stream, container.format.name) from error
    _copy_description(stream, copy)
    copy.time_base = stream.time_base
    return copy


def _copy_description(stream: Stream, copy: Stream) -> None:
    copy.disposition = stream.disposition
    copy.metadata.update(stream.metadata)


def unsupported_stream(source: Path, stream: Stream, format_name: str) -> RefusedError:
    """The error for a stream that a container cannot hold."""
    context = stream.codec_context
    kind = f"{stream.type} {context.name}" if context else stream.type
    return RefusedError(
        source,
        f"stream {stream.index} ({kind}) cannot be kept in {format_name}",
        "name the output .mkv, .mov or .nut, whichever holds it, or take that stream out first",
    )


def _tags(source: InputContainer, format_name: str) -> dict[str, str]:
    same_format = format_name in source.format.name.split(",")
    dropped = {"encoder"} if same_format else _MUXER_TAGS
    return {key: value for key, value in source.metadata.items() if key.lower() not in dropped}


def _chapters(source: InputContainer, clip: Clip) -> "list[Chapter]":
    """The source's chapters, cut to the clip."""
    chapters = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        shift = round(clip.shift / base)
        latest = chapter["end"] if clip.end is None else min(chapter["end"], round(clip.end / base))
        start = max(chapter["start"], shift)
        if start < latest or (start == latest == chapter["end"]):
            chapters.append({**chapter, "start": start - shift, "end": latest - shift})
    return chapters  # type: ignore[return-value]


def write_matroska_aspect(path: Path, info: VideoInfo) -> None:
    """Write the sample aspect ratio into a finished Matroska file; all streams are copied.

    PyAV cannot set it on a stream, and the Matroska muxer takes it from nowhere else. Not every codec stores
    it, so without this, some players would show anamorphic video squeezed.

    Raises:
        InputError: ffmpeg failed.
    """
    if info.sample_aspect in (None, 1):
        return
    aspect = info.sample_aspect * info.width / info.height
    rewritten = path.with_name(f"{path.name}.aspect.mkv")
    copied = ffmpeg.output(
        ffmpeg.input(file_url(path), copyts=None, format="matroska"),
        file_url(rewritten),
        map=0,
        c="copy",
        copy_unknown=None,
        avoid_negative_ts="disabled",
        format="matroska",
        **{"aspect:v:0": f"{aspect.numerator}:{aspect.denominator}"},
    ).global_args("-hide_banner", "-v", "error", "-nostats", "-nostdin", "-y")
    command = [str(part) for part in ffmpeg.compile(copied, cmd=find_ffmpeg())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InputError(path, f"{FAILURE}{done.stderr}", "name the output .mp4 or .mov")
        rewritten.replace(path)
    finally:
        rewritten.unlink(missing_ok=True)
