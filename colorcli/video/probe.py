"""Opening a video safely and finding out what it is."""

import math
import struct
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorcli.errors import InputError, RefusedError
from colorcli.video.fields import is_top_first
from colorcli.video.info import (
    BOTTOM_FIRST,
    MATRICES,
    PROGRESSIVE,
    RESERVED,
    RGB,
    TOP_FIRST,
    UNSPECIFIED,
    VideoInfo,
)
from colorcli.video.packet_scan import open_container, scan_packets

_PLAUSIBLE_RATES = (Fraction(1), Fraction(240))
_DEFAULT_RATE = Fraction(25)


def open_video(source: Path) -> InputContainer:
    """Open a video, or standard input for `-`, with all its streams, also those that begin late.

    Raises:
        InputError: it is missing, not a video, or too damaged to be opened.
        RefusedError: a stream begins so late that it cannot be found.
    """
    return open_container(source, scan_packets(source).probe_size)


def video_stream(container: InputContainer, source: Path) -> VideoStream:
    """The first video stream that is not an attached cover.

    Raises:
        InputError: there is none.
    """
    streams = moving_streams(container)
    if not streams:
        raise InputError(source, "has no video stream", "leave it out; there is nothing to colorize")
    if streams[0].codec_context is None:
        cause = f"FFmpeg has no decoder for its video stream {streams[0].index}"
        raise InputError(source, cause, "convert it first")
    return streams[0]


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """All video streams but attached covers."""
    covers = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & covers]


def probe(container: InputContainer, source: Path, first: VideoFrame) -> VideoInfo:
    """The facts of a video, from its container and its first decoded frame.

    Raises:
        RefusedError: its color system has no luma and chroma.
    """
    stream = video_stream(container, source)
    matrix = first.colorspace
    if matrix not in MATRICES and matrix not in (RGB, UNSPECIFIED, RESERVED):
        raise RefusedError(
            source, f"matrix coefficients {matrix} of H.273 are not Y'CbCr", "convert it first"
        )
    return VideoInfo(
        source=source, stream=stream.index, codec=stream.codec_context.name, container=container.format.name,
        width=first.width, height=first.height, pix_fmt=first.format.name,
        time_base=stream.time_base or Fraction(1, 1000), rate=_plausible_rate(stream),
        frames=_frame_count(container, stream), sample_aspect=stream.sample_aspect_ratio or None,
        range=first.color_range, matrix_tag=matrix, primaries=first.color_primaries,
        transfer=first.color_trc, field_order=_field_order(stream.codec_context.field_order, first),
        display_matrix=_display_matrix(first),
    )  # fmt: skip


def picture_sequence_info(source: Path, first: VideoFrame, rate: Fraction, count: int) -> VideoInfo:
    """The facts of numbered pictures, from the first of them; one tick is one picture."""
    return VideoInfo(
        source=source, stream=0, codec="png", container="image2", width=first.width, height=first.height,
        pix_fmt=first.format.name, time_base=1 / rate, rate=rate, frames=count, sample_aspect=None,
        range=first.color_range, matrix_tag=first.colorspace, primaries=first.color_primaries,
        transfer=first.color_trc, field_order=PROGRESSIVE, display_matrix=None,
    )  # fmt: skip


def _plausible_rate(stream: VideoStream) -> Fraction:
    """The average rate if it is plausible, else another one that the container states, else 25."""
    slowest, fastest = _PLAUSIBLE_RATES
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and slowest <= rate <= fastest:
            return rate
    return _DEFAULT_RATE


def _frame_count(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames:
        return stream.frames
    if container.duration and stream.average_rate:
        return round(Fraction(container.duration, av.time_base) * _plausible_rate(stream))
    return None


def _field_order(tagged: int, first: VideoFrame) -> int:
    """The header's field order, unless the first frame contradicts it."""
    if not first.interlaced_frame:
        return tagged
    orders = TOP_FIRST if is_top_first(first) else BOTTOM_FIRST
    return tagged if tagged in orders else orders[0]


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    try:
        entries: list[SideData] = list(iter(frame.side_data))  # type: ignore[arg-type]  # entries, not keys
    except ValueError:  # PyAV fails if any entry has a type that it does not know
        return _rotation_matrix(frame.rotation) if frame.rotation else None
    matrices = [data for data in entries if data.type == SideDataType.DISPLAYMATRIX]
    return struct.unpack("=9i", bytes(matrices[0])) if matrices else None


def _rotation_matrix(degrees: int) -> tuple[int, ...]:
    """FFmpeg's display matrix for a counterclockwise rotation."""
    one, turn = 1 << 16, math.radians(degrees)
    cos, sin = round(math.cos(turn) * one), round(math.sin(turn) * one)
    return cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30
