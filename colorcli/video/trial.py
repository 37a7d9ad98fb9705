"""Rehearsals before the work: whether the encoder takes such frames, and the container what comes of them."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path

import av

from colorcli.errors import ColorcliError, RefusedError, SetupError, UsageError
from colorcli.options import VideoOptions
from colorcli.video.encoder import (
    HARDWARE,
    Encoder,
    EncodeSettings,
    candidate_settings,
    default_encoder,
    segment_url,
)
from colorcli.video.info import VideoInfo, open_video
from colorcli.video.muxer import Clip, copied_streams, numbered, open_output, unheld

TRIED_PACKETS = 200
"""Packets of the other streams that are put into the container for trial."""


@lru_cache(maxsize=64)  # planning asks first, the run itself again
def rehearse_encoding(info: VideoInfo, format_name: str, film: VideoOptions) -> tuple[EncodeSettings, bytes]:
    """Find a settings that works by encoding two black frames; the encoded frames (NUT) come with it.

    Raises:
        RefusedError: none works; the encoder's own reason is given.
        SetupError: the encoder needs hardware that is not there; or as `candidate_settings`.
        UsageError: it works without the settings given; or as `candidate_settings`.
    """
    failures: list[ColorcliError] = []
    for settings in candidate_settings(info, format_name, film):
        try:
            return settings, _try(settings, info)
        except ColorcliError as error:
            failures.append(error)
    raise _unworkable(info, format_name, film, failures[0].cause.removeprefix("ffmpeg failed: "))


def _unworkable(info: VideoInfo, format_name: str, film: VideoOptions, cause: str) -> ColorcliError:
    """Whose fault it is that no settings works: the settings', the machine's, or the encoder's own."""
    encoder = film.codec or default_encoder(info, format_name)
    plain = replace(film, crf=None, preset=None, encoder_args="")
    if plain != film:
        with suppress(ColorcliError):
            rehearse_encoding(info, format_name, plain)
            given = [
                f"{flag} {value}"
                for flag, value in (("--crf", film.crf), ("--preset", film.preset))
                if value is not None
            ] + ([f"--encoder-args {film.encoder_args!r}"] if film.encoder_args else [])
            return UsageError(" ".join(given), f"{encoder} does not take it ({cause})", "correct it")
    if encoder.endswith(HARDWARE):
        return SetupError(encoder, f"does not start here ({cause})", "check GPU and driver, or --codec")
    return RefusedError(
        info.source, f"{encoder} does not take it ({cause})", "choose another --codec or --pix-fmt"
    )


def _try(settings: EncodeSettings, info: VideoInfo) -> bytes:
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
def rehearse_muxing(info: VideoInfo, format_name: str, encoded: bytes) -> None:
    """Put a frame and some packets of every other stream into the container, to see whether it holds them.

    Raises:
        RefusedError: it does not; which stream, is said.
    """
    with open_video(info.source) as source:
        wanted = copied_streams(source, info, format_name)
    if _holds(info, format_name, encoded, wanted):
        return
    for index in sorted(wanted):
        if not _holds(info, format_name, encoded, {index}):
            with open_video(info.source) as source:
                raise unheld(info.source, source.streams[index], format_name)
    raise RefusedError(
        info.source,
        f"{format_name} cannot hold such pictures",
        "choose another --codec, or name the output .mkv",
    )


def _holds(info: VideoInfo, format_name: str, encoded: bytes, wanted: set[int]) -> bool:
    """Whether the container takes the picture and these streams."""
    with (
        tempfile.TemporaryDirectory(prefix="colorcli-") as folder,
        av.open(BytesIO(encoded), "r", format="nut") as picture,
        open_video(info.source) as source,
    ):
        url = segment_url(Path(folder) / "rehearsal")
        try:
            template = picture.streams.video[0]
            output = open_output(url, format_name, info, source, template, Clip(), {}, wanted)
            for packet in numbered(picture.demux(), info.rate):
                packet.dts = packet.pts
                output.mux_picture(packet)
            others = [source.streams[index] for index in output.others]
            for packet in islice(source.demux(*others), TRIED_PACKETS) if others else ():
                output.mux(packet)
            output.container.close()
        except (av.FFmpegError, ValueError):
            return False
    return True
