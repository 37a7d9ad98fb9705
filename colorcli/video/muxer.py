"""Muxing the encoded video and the source's other streams into the output.

The other streams are copied packet by packet, with their timestamps, tags, dispositions and order.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from colorcli.errors import InputError, RefusedError
from colorcli.files import STDIO
from colorcli.video.containers import CONSTANT_RATE, HEADERLESS, MATROSKA, QUICKTIME
from colorcli.video.info import VideoInfo
from colorcli.video.probe import open_video
from colorcli.video.remux import BASE, EXTRA, SOURCE, Remux, attachment_of, can_turn
from colorcli.video.streams import NO_STREAMS, StreamChoice, unsupported_stream
from colorcli.video.timestamps import decode_seconds
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
    extra: OutputContainer | None
    """Takes the streams that PyAV does not write to this container although ffmpeg does."""
    remux: Remux
    video: VideoStream
    copies: dict[int, Stream]
    """The copied streams, by their index in the source."""
    clip: Clip
    time_base: Fraction
    """Of the source's video stream, in which the video packets' times are."""
    video_packets: int = 0
    """How many were written."""
    repeat_header: BitStreamFilterContext | None = None
    """Puts the encoder's header before each keyframe, for a container that has no place for it."""

    def mux_copy(self, packet: Packet) -> None:
        """Copy a packet of another stream, if it lies within the clip."""
        if packet.size and packet.stream_index in self.copies and self.clip.holds(packet):
            packet.stream = self.copies[packet.stream_index]
            if self.clip.start and packet.time_base:
                shift = round(self.clip.shift / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
            self._mux(packet)

    def mux_video(self, packet: Packet) -> None:
        """Write a video packet whose times are in `time_base`."""
        filtered = self.repeat_header.filter(packet) if self.repeat_header else [packet]
        for each in filtered:
            each.time_base = self.time_base
            each.stream = self.video
            self._mux(each)
            self.video_packets += 1

    def close(self) -> None:
        """Write the end of the output.

        Raises:
            InputError: the container does not take what it was given.
            OSError: the disk or the pipe does not.
        """
        for container in filter(None, (self.container, self.extra)):
            with self._named_errors("what it was given"):
                container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with suppress(InputError) if error else nullcontext():  # an earlier error tells more
            self.close()

    def _mux(self, packet: Packet) -> None:
        container = packet.stream.container
        assert isinstance(container, OutputContainer)
        seconds = decode_seconds(packet)
        with self._named_errors(f"a packet of stream {packet.stream.index} at {float(seconds):.2f} s"):
            container.mux(packet)

    @contextmanager
    def _named_errors(self, part: str) -> Iterator[None]:
        """Say what the container does not take; errors of disk and pipe say enough themselves."""
        try:
            yield
        except OSError:
            raise
        except (av.FFmpegError, ValueError) as error:
            name, reason = self.remux.format_name, getattr(error, "strerror", None) or error
            others = {"matroska": ".mov", "mov": ".mkv"}
            remedy = f"name the output {others.get(name, '.mkv or .mov')}"
            raise InputError(
                self.remux.info.source, f"{name} does not take {part} ({reason})", remedy
            ) from error


def open_output(
    url: str,
    format_name: str,
    info: VideoInfo,
    source: InputContainer | None,
    encoded: VideoStream,
    clip: Clip,
    extra_tags: dict[str, str],
    wanted: StreamChoice = NO_STREAMS,
) -> Output:
    """Open an output with all streams in the source's order, its tags and chapters.

    Args:
        source: the source's container, None for numbered pictures.
        encoded: the encoder's stream, whose parameters the video stream gets.
        wanted: the streams besides the video.

    Raises:
        RefusedError: the container cannot hold one of the streams; the message says which.
    """
    options = _options(source, format_name)
    container = av.open(
        url, "w", format=format_name, container_options=options, metadata_errors="surrogateescape"
    )
    remux = Remux(url, format_name, info, options, clip)
    output = Output(container, None, remux, None, {}, clip, info.time_base)  # type: ignore[arg-type]
    if format_name in HEADERLESS:
        output.repeat_header = BitStreamFilterContext("dump_extra", encoded)
    if source is None:
        output.video = _add_video(output, None, encoded)
        for target in filter(None, (container, output.extra)):
            target.metadata.update(extra_tags)
        return output
    tags = {**_tags(source, format_name), **extra_tags}
    for stream in source.streams:
        if stream.index == info.stream:
            output.video = _add_video(output, stream, encoded)
        elif encoder := wanted.encoder(stream):
            _add_reencoded(output, stream, encoder)
        elif stream.index in wanted.indices:
            if format_name == "matroska" and (attachment := attachment_of(stream, info.source)):
                remux.attachments.append(attachment)
                container.add_attachment(*attachment)
            else:
                _add_copy(output, stream)
    for target in filter(None, (container, output.extra)):
        target.metadata.update(tags)
        target.set_chapters(_chapters(source, clip))
    return output


def _add_stream(output: Output, template: Stream, described: Stream | None) -> Stream | None:
    """Add a stream to the container; None if the last pass has to copy it from the source.

    `described` is the source's stream that it stands for, None for pictures, `template` if it is copied.

    PyAV does not take every codec that the muxer takes. Video goes to an extra file then.

    Raises:
        ValueError, av.FFmpegError: the container cannot hold it.
    """
    remux = output.remux
    is_copy = described is template
    described = described or template
    try:
        # "opaque" copies the parameters without knowing the codec.
        added: Stream = output.container.add_stream_from_template(template, opaque=True)
        remux.add(BASE, described)
    except ValueError:
        if not remux.is_file:
            raise
        if is_copy:
            if remux.format_name in CONSTANT_RATE or not remux.can_reread:
                raise
            remux.add(SOURCE, template)
            return None
        if remux.info.display_matrix and not can_turn():
            raise
        output.extra = av.open(remux.extra_url, "w", format="nut")
        added = output.extra.add_stream_from_template(template, opaque=True)
        remux.add(EXTRA, described)
    return added


def _options(source: InputContainer | None, format_name: str) -> dict[str, str]:
    if format_name not in QUICKTIME:
        # Audio with priming samples before 0 must not shift all other streams.
        return {"avoid_negative_ts": "disabled"} if format_name in (*MATROSKA, "avi") else {}
    options = {"movie_timescale": str(_MOVIE_TIMESCALE)}
    # Keys in reverse-DNS style are kept only in QuickTime's own metadata atom, which fewer players read.
    if source is not None and any("." in key for key in source.metadata):
        options["movflags"] = "use_metadata_tags"
    return options


def _add_video(output: Output, stream: Stream | None, encoded: VideoStream) -> VideoStream:
    """Add the colorized stream: the encoder's parameters, everything else as in the source."""
    container, info = output.container, output.remux.info
    try:
        video = _add_stream(output, encoded, stream)
        assert isinstance(video, VideoStream)
    except ValueError as error:
        cause = f"{container.format.name} cannot hold {encoded.codec_context.name} video"
        raise RefusedError(info.source, cause, "choose another --codec, or name the output .mkv") from error
    context = video.codec_context
    if encoded.codec_context.name == "rawvideo":
        # The tag states the pixel format, which the NUT muxer would otherwise guess.
        context.codec_tag = encoded.codec_context.codec_tag
    if info.sample_aspect:
        context.sample_aspect_ratio = info.sample_aspect
    context.color_range = info.stated_range or context.color_range
    context.colorspace, context.color_primaries = info.matrix_tag, info.primaries
    context.color_trc = info.transfer
    context.field_order = info.field_order
    context.framerate = info.rate
    if info.display_matrix:
        video.set_display_matrix(info.display_matrix)
    video.time_base = 1 / info.rate if container.format.name in CONSTANT_RATE else info.time_base
    if stream is not None:
        _copy_description(stream, video)
        _drop_statistics(video.metadata)
        video.metadata.pop("encoder", None)
        video.metadata.pop("ENCODER", None)
    return video


def _add_copy(output: Output, stream: Stream) -> None:
    remux = output.remux
    name = getattr(stream.codec_context, "name", None)  # none without a decoder
    if remux.format_name == "avi" and name == "ac3" and remux.can_reread:
        # AVI takes the length of AC-3 packets from a field that ffmpeg clears and PyAV copies.
        remux.add(SOURCE, stream)
        return
    try:
        copy = _add_stream(output, stream, stream)
    except (ValueError, av.FFmpegError) as error:
        raise unsupported_stream(output.remux.info.source, stream, output.remux.format_name) from error
    if copy is not None:
        _copy_description(stream, copy)
        copy.time_base = stream.time_base
        if output.remux.format_name == "avi" and (rate := _bit_rate(output.remux.info.source, stream)):
            copy.codec_context.bit_rate = rate
        output.copies[stream.index] = copy


def _bit_rate(source: Path, stream: Stream) -> int | None:
    """What AVI takes for the length of an ADPCM packet; ffmpeg before version 6 has written wrong ones."""
    if source == STDIO or not stream.codec_context.name.startswith("adpcm_"):
        return None
    with open_video(source) as container:
        packets = container.demux(container.streams[stream.index])
        for packet in packets:
            if packet.size and packet.duration and packet.time_base:
                return round(8 * packet.size / (packet.duration * packet.time_base))
    return None


def _add_reencoded(output: Output, stream: Stream, encoder: str) -> None:
    """Leave a stream to the last pass, which reads it from the source and encodes it.

    Raises:
        RefusedError: there is no such pass, or the source's clock has to be repaired on the way.
    """
    remux = output.remux
    if stream.codec_context is None:  # FFmpeg has no decoder for it
        raise unsupported_stream(remux.info.source, stream, remux.format_name)
    if not remux.can_reread:
        cause = "audio can be encoded only from a file with one rising clock into a file"
        raise RefusedError(remux.info.source, cause, "choose --audio copy, or encode it afterwards")
    remux.add(SOURCE, stream, encoder)


def _copy_description(stream: Stream, copy: Stream) -> None:
    copy.disposition = stream.disposition
    copy.metadata.update(stream.metadata)


def _drop_statistics(tags: dict[str, str]) -> None:
    """Drop mkvmerge's statistics, which describe the source's own packets."""
    for name in (
        *tags.pop("_STATISTICS_TAGS", "").split(),
        *(key for key in tags if key.startswith("_STATISTICS_")),
    ):
        tags.pop(name, None)


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
