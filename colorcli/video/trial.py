"""Trials before the work: does the encoder take such frames, and the container the streams?"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from colorcli.errors import ColorcliError, InputError, RefusedError, SetupError, UsageError
from colorcli.options import VideoOptions
from colorcli.video.containers import ONE_LENGTH
from colorcli.video.encode_settings import EncodeSettings, candidate_settings
from colorcli.video.encoder import Encoder
from colorcli.video.encoder_defaults import HARDWARE, default_encoder
from colorcli.video.ffmpeg import FAILURE, file_url
from colorcli.video.info import FULL, LIMITED, VideoInfo
from colorcli.video.muxer import Output, open_output
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.probe import open_video
from colorcli.video.remux import DEMUXER_NAMES, write_remuxed
from colorcli.video.streams import AUDIO_ENCODERS, NO_STREAMS, StreamChoice, unsupported_stream
from colorcli.video.timestamps import number_frames
from colorcli.video.trim import Clip

_TRIED_SECONDS = 5
_OTHERS = (("matroska", ".mkv"), ("mov", ".mov"), ("mp4", ".mp4"), ("nut", ".nut"))
"""Containers that a refusal may name instead."""
_TIMES_APART = 0.2
"""Seconds by which copied sound may become longer or shorter: some muxers cut it into other packets."""
_TRIED_PACKETS = 200
"""Packets of the other streams that are muxed."""


class _Copied(NamedTuple):
    """A stream that was copied for a trial."""

    type: str
    seconds: float
    """Between the first and the last packet that was copied."""


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
            encoded = _encode_black(settings, info)
        except ColorcliError as error:
            failures.append(error)
            continue
        is_full = info.is_full_range and not settings.layout.rgb
        if is_full and not _states_full_range(info, format_name, encoded):
            settings = replace(settings, limits_range=True)
            encoded = _encode_black(settings, replace(info, range=LIMITED))
        return settings, encoded
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
    try:
        with (
            open_video(info.source) as source,
            _written(info, format_name, encoded, source, wanted) as (trial, copied),
        ):
            return trial is None or _is_complete(trial, copied)
    except (av.FFmpegError, ValueError, InputError, RefusedError):
        return False


def _states_full_range(info: VideoInfo, format_name: str, encoded: bytes) -> bool:
    """Whether players learn from container or codec that luma uses the full range."""
    with (
        suppress(av.FFmpegError, ValueError, InputError, RefusedError),
        _written(info, format_name, encoded, None, NO_STREAMS) as (trial, _),
    ):
        return trial is None or next(trial.decode(video=0)).color_range == FULL
    return True  # what does not work at all is refused elsewhere


@contextmanager
def _written(
    info: VideoInfo, format_name: str, encoded: bytes, source: InputContainer | None, wanted: StreamChoice
) -> Iterator[tuple[InputContainer | None, list[_Copied]]]:
    """The video and some packets of other streams, muxed and opened again; None if nothing reads it.

    Also the streams of which there are packets.
    """
    with (
        tempfile.TemporaryDirectory(prefix="colorcli-") as folder,
        av.open(BytesIO(encoded), "r", format="nut") as video,
    ):
        url = file_url(Path(folder) / "trial")
        output = open_output(url, format_name, info, source, video.streams.video[0], Clip(), {}, wanted)
        for packet in number_frames(video.demux(), info.rate):
            packet.dts = packet.pts
            output.mux_video(packet)
        copied = _copy_some(output, source) if source is not None and output.copies else []
        output.close()
        write_remuxed(Path(folder) / "trial", output.remux, seconds=_TRIED_SECONDS)
        name = DEMUXER_NAMES.get(format_name, format_name)
        if name not in _demuxers():
            yield None, []
            return
        with av.open(url, "r", format=name, metadata_errors="replace") as trial:
            yield trial, copied


def _copy_some(output: Output, source: InputContainer) -> list[_Copied]:
    """Mux the first packets of the copied streams; those of which there are some."""
    others = [source.streams[index] for index in output.copies]
    packets = list(islice(demux(source, scan_packets(output.remux.info.source), *others), _TRIED_PACKETS))
    spans = _spans(packets)  # muxing changes the packets' times
    for packet in packets:
        output.mux_copy(packet)
    return [_Copied(source.streams[index].type, spans[index]) for index in sorted(spans)]


def _spans(packets: Iterable[Packet]) -> dict[int, float]:
    """Index of each stream -> seconds between its first and its last packet."""
    times: dict[int, list[float]] = {}
    for packet in packets:
        if packet.size:
            found = times.setdefault(packet.stream_index, [])
            if packet.pts is not None and packet.time_base:
                found.append(float(packet.pts * packet.time_base))
    return {index: max(found, default=0.0) - min(found, default=0.0) for index, found in times.items()}


@lru_cache
def _demuxers() -> frozenset[str]:
    """Names of the formats that can be read."""
    return frozenset(name for each in av.formats_available for name in each.split(",") if _is_read(each))


def _is_read(name: str) -> bool:
    with suppress(ValueError):
        return bool(av.ContainerFormat(name, "r").is_input)
    return False


def _is_complete(trial: InputContainer, copied: list[_Copied]) -> bool:
    """Whether a file shows a picture and holds copied streams as what they are, with their times.

    Some muxers take everything: MPEG-TS writes what it does not know as data that nothing can play, and AVI
    gives sound of a variable bit rate the times of a constant one.
    """
    next(trial.decode(video=0))
    playable = [stream for stream in trial.streams if stream.codec_context is not None]
    if Counter(each.type for each in copied) - Counter(stream.type for stream in playable):
        return False
    sound = [stream for stream in playable if stream.type == "audio"]
    if not sound or trial.format.name in ONE_LENGTH:  # those end with the picture, here after a frame
        return True
    trial.seek(0)
    spans = _spans(trial.demux(*sound))
    expected = [each.seconds for each in copied if each.type == "audio"]
    return all(abs(a - b) < _TIMES_APART for a, b in zip(expected, spans.values(), strict=False))
