"""Which of a source's streams go along with the colorized video: --drop and --audio."""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream

from colorcli.errors import RefusedError, UsageError
from colorcli.files import STDIO
from colorcli.options import VideoOptions
from colorcli.video.containers import VIDEO_ONLY
from colorcli.video.info import VideoInfo
from colorcli.video.probe import open_video

AUDIO_ENCODERS = {"aac": "aac", "opus": "libopus"}
"""Value of --audio -> ffmpeg's encoder."""
_AUDIO = ("copy", *AUDIO_ENCODERS, "none")
_DROPPED_TYPES = ("subtitle", "data", "attachment", "video")


@dataclass(frozen=True)
class StreamChoice:
    """The streams besides the video that the output gets."""

    indices: frozenset[int] = frozenset()
    """Of the source's streams."""
    audio: str = "copy"
    """What happens to those that are audio: a value of --audio."""

    def encoder(self, stream: Stream) -> str | None:
        """The encoder that a stream needs, None if it is copied or left out."""
        is_audio = stream.index in self.indices and stream.type == "audio"
        return AUDIO_ENCODERS.get(self.audio) if is_audio else None

    def only(self, index: int, audio: str | None = None) -> "StreamChoice":
        """One stream by itself, for a trial."""
        return replace(self, indices=frozenset({index}), audio=audio or self.audio)


NO_STREAMS = StreamChoice()


def choose_streams(
    source: InputContainer, info: VideoInfo, format_name: str, options: VideoOptions
) -> StreamChoice:
    """All streams but the video, what the muxer writes itself, and what --drop and --audio leave out.

    Raises:
        UsageError: --drop names no stream, or the video that is colorized; --audio has an unknown value.
    """
    if options.audio not in _AUDIO:
        raise UsageError(f"--audio {options.audio}", "is not known", f"choose from {', '.join(_AUDIO)}")
    left_out = {info.stream, *_dropped(source, info, options.drop)}
    if options.audio == "none":
        left_out.update(stream.index for stream in source.streams if stream.type == "audio")
    if format_name in VIDEO_ONLY:
        return NO_STREAMS
    kept = (
        stream.index
        for stream in source.streams
        if stream.index not in left_out
        and not _is_rebuilt(stream, source, info.source)
        and not is_navigation(stream)
    )
    return StreamChoice(frozenset(kept), options.audio)


def _dropped(source: InputContainer, info: VideoInfo, drop: str) -> set[int]:
    """Indices that the value of --drop names."""
    dropped: set[int] = set()
    for word in filter(None, (word.strip() for word in drop.split(","))):
        if word == "audio":
            raise UsageError("--drop audio", "has an option of its own", "give --audio none")
        found = {stream.index for stream in source.streams if word in (str(stream.index), stream.type)}
        if found == {info.stream}:
            raise UsageError(f"--drop {word}", "is the video to be colorized", "name another stream")
        if not found and word not in _DROPPED_TYPES:
            streams = ", ".join(f"{stream.index} {stream.type}" for stream in source.streams)
            raise UsageError(f"--drop {word}", "names no stream", f"choose from: {streams}")
        dropped |= found
    return dropped


def is_navigation(stream: Stream) -> bool:
    """Whether it holds a DVD's navigation packets, which have a meaning on the disc only."""
    return bool(stream.type == "data" and stream.name == "dvd_nav_packet")


def _is_rebuilt(stream: Stream, container: InputContainer, source: Path) -> bool:
    """Whether it is a timecode or chapter track of QuickTime.

    Muxers create these from the `timecode` tag and the chapters, and accept them in no other way.
    """
    if "mov" not in container.format.name:
        return False
    chapters = container.chapters()
    if stream.type == "subtitle" and chapters and source != STDIO:
        # ffmpeg before version 6 does not mark the track that repeats the chapters.
        titles = [str(chapter["metadata"].get("title", "")) for chapter in chapters]
        return _texts(source, stream.index, len(titles) + 1) == titles
    return stream.type == "data" and (
        "timecode" in stream.metadata or (stream.name == "bin_data" and bool(chapters))
    )


def _texts(source: Path, index: int, count: int) -> list[str]:
    """The first texts of a track of timed text (3GPP TS 26.245): two bytes of length, then UTF-8."""
    with open_video(source) as container:
        packets = islice((bytes(p) for p in container.demux(container.streams[index]) if p.size), count)
        return [data[2 : 2 + int.from_bytes(data[:2], "big")].decode(errors="replace") for data in packets]


def unsupported_stream(
    source: Path, stream: Stream, format_name: str, remedies: list[str] | None = None
) -> RefusedError:
    """The error for a stream that a container cannot hold; `remedies` have been tried."""
    # Without a decoder, PyAV has no context, and for some codecs not even a name.
    name = getattr(stream.codec_context or stream, "name", None) or "of an unknown codec"
    kind = f"{stream.type} {name}"
    ways = [*(remedies or []), f"leave it out with --drop {stream.index}"]
    cause = f"stream {stream.index} ({kind}) cannot be kept in {format_name}"
    return RefusedError(source, cause, ", or ".join(ways))
