"""Trials before the work: does the encoder take such frames, and the container the streams?"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
from av.stream import Stream

from colorcli.errors import ColorcliError, InputError, RefusedError, SetupError, UsageError
from colorcli.options import VideoOptions
from colorcli.video.encode_settings import EncodeSettings, candidate_settings
from colorcli.video.encoder import Encoder
from colorcli.video.encoder_defaults import HARDWARE, default_encoder
from colorcli.video.ffmpeg import FAILURE, file_url
from colorcli.video.info import VideoInfo
from colorcli.video.muxer import open_output
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.probe import open_video
from colorcli.video.remux import DEMUXER_NAMES, write_remuxed
from colorcli.video.streams import AUDIO_ENCODERS, NO_STREAMS, StreamChoice, unsupported_stream
from colorcli.video.timestamps import number_frames
from colorcli.video.trim import Clip

_TRIED_SECONDS = 5
_OTHERS = (("matroska", ".mkv"), ("mov", ".mov"), ("mp4", ".mp4"), ("nut", ".nut"))
"""Containers that a refusal may name instead."""
_TRIED_PACKETS = 200
"""Packets of the other streams that are muxed."""


@lru_cache(maxsize=64)  # planning asks first, the run itself again
def try_encoding(info: VideoInfo, format_name: str, options: VideoOptions) -> tuple[EncodeSettings, bytes]:
    """Encode a black frame to find settings that work; returns them and the encoded frame (NUT).

    Raises:
        RefusedError: none works; the message gives the encoder's reason.
        SetupError: the encoder needs a device that is missing; or as `candidate_settings`.
        UsageError: it works without --crf, --preset and --encoder-args; or as `candidate_settings`.
    """
    failures: list[ColorcliError] = []
    for settings in candidate_settings(info, format_name, options):
        try:
            return settings, _encode_black(settings, info)
        except ColorcliError as error:
            failures.append(error)
    raise _failure(info, format_name, options, failures[0].cause.removeprefix(FAILURE))


def _failure(info: VideoInfo, format_name: str, options: VideoOptions, cause: str) -> ColorcliError:
    """The error when no settings work: because of the options, the machine, or the encoder."""
    encoder = options.codec or default_encoder(info, format_name)
    rejected = f"{encoder} does not take it ({cause})"
    plain = replace(options, crf=None, preset=None, encoder_args="")
    if plain != options:
        with suppress(ColorcliError):
            try_encoding(info, format_name, plain)
            return UsageError(_flags(options), rejected, "correct it")
    if encoder.endswith(HARDWARE):
        return SetupError(encoder, f"does not start here ({cause})", "check GPU and driver, or --codec")
    return RefusedError(info.source, rejected, "choose another --codec or --pix-fmt")


def _flags(options: VideoOptions) -> str:
    """The options that the encoder was given, as written on the command line."""
    values = (("--crf", options.crf), ("--preset", options.preset))
    flags = [f"{flag} {value}" for flag, value in values if value is not None]
    return " ".join(flags + ([f"--encoder-args {options.encoder_args!r}"] if options.encoder_args else []))


def _encode_black(settings: EncodeSettings, info: VideoInfo) -> bytes:
    frame = av.VideoFrame(info.width, info.height, settings.layout.name)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    with Encoder(settings, info, "pipe:1") as encoder:
        encoder.write(frame)
        encoder.end_input()
        encoded = encoder.process.stdout.read()
        encoder.process.finish()
    return encoded


@lru_cache(maxsize=64)
def try_muxing(info: VideoInfo, format_name: str, encoded: bytes, wanted: StreamChoice) -> None:
    """Mux an encoded frame and some packets of every other stream, to see whether the container holds them.

    Raises:
        RefusedError: it does not; the message says which stream.
    """
    if _holds(info, format_name, encoded, wanted):
        return
    if not _holds(info, format_name, encoded, NO_STREAMS):
        cause = f"{format_name} cannot hold such video"
        raise RefusedError(info.source, cause, "choose another --codec, or name the output .mkv")
    with open_video(info.source) as source:
        for index in sorted(wanted.indices):
            if not _holds(info, format_name, encoded, wanted.only(index)):
                remedies = list(_remedies(info, format_name, encoded, wanted, source.streams[index]))
                raise unsupported_stream(info.source, source.streams[index], format_name, remedies)
    cause = f"{format_name} cannot hold these streams together"
    raise RefusedError(info.source, cause, "name the output .mkv, or leave some out with --drop")


def _remedies(
    info: VideoInfo, format_name: str, encoded: bytes, wanted: StreamChoice, stream: Stream
) -> Iterator[str]:
    """What helps for a stream that the container cannot hold, found by trial."""
    others = [
        suffix
        for name, suffix in _OTHERS
        if name != format_name and _holds(info, name, encoded, wanted.only(stream.index))
    ]
    if others:
        yield f"name the output {' or '.join(others)}"
    if stream.type == "audio":
        for audio in AUDIO_ENCODERS:
            if audio != wanted.audio and _holds(info, format_name, encoded, wanted.only(stream.index, audio)):
                yield f"encode it with --audio {audio}"
                return


def _holds(info: VideoInfo, format_name: str, encoded: bytes, wanted: StreamChoice) -> bool:
    """Whether the container takes the video and these streams."""
    with (
        tempfile.TemporaryDirectory(prefix="colorcli-") as folder,
        av.open(BytesIO(encoded), "r", format="nut") as video,
        open_video(info.source) as source,
    ):
        url = file_url(Path(folder) / "trial")
        try:
            template = video.streams.video[0]
            output = open_output(url, format_name, info, source, template, Clip(), {}, wanted)
            for packet in number_frames(video.demux(), info.rate):
                packet.dts = packet.pts
                output.mux_video(packet)
            others = [source.streams[index] for index in output.copies]
            packets = demux(source, scan_packets(info.source), *others) if others else iter(())
            copied = set()
            for packet in islice(packets, _TRIED_PACKETS):
                if packet.size:
                    copied.add(packet.stream_index)
                output.mux_copy(packet)
            output.close()
            write_remuxed(Path(folder) / "trial", output.remux, seconds=_TRIED_SECONDS)
            return _is_readable(url, format_name, [source.streams[index] for index in sorted(copied)])
        except (av.FFmpegError, ValueError, InputError, RefusedError):
            return False


def _is_readable(url: str, format_name: str, copied: list[Stream]) -> bool:
    """Whether a file shows a picture and holds copied streams as what they are.

    Some muxers take everything: MPEG-TS writes what it does not know as data that nothing can play.
    """
    try:
        name = DEMUXER_NAMES.get(format_name, format_name)
        av.ContainerFormat(name, "r")
    except ValueError:  # written for other programs only
        return True
    with av.open(url, "r", format=name, metadata_errors="replace") as trial:
        next(trial.decode(video=0))
        wanted, found = (
            Counter(stream.type for stream in streams if stream.codec_context is not None)
            for streams in (copied, trial.streams)
        )
        return not wanted - found
