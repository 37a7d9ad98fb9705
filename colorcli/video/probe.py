"""Opening a video safely and finding out what it is."""

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
from colorcli.files import STDIO
from colorcli.video.info import MATRICES, PROGRESSIVE, RESERVED, RGB, TOP_FIRST, UNSPECIFIED, VideoInfo

DEMUXERS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,nut,"
    "yuv4mpegpipe,mxf,gxf,dv,rm,gif,wtv,nsv,swf,image2,png_pipe,tiff_pipe,dpx_pipe,exr_pipe,j2k_pipe"
)
"""Demuxers that read one file and nothing else. Playlists (hls, concat, dash) open every file they name, even
from inside a file called .mp4, and a protocol whitelist does not stop them from opening local files."""
_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file,pipe,fd"}
_PLAUSIBLE_RATES = (Fraction(1), Fraction(240))
_DEFAULT_RATE = Fraction(25)


def open_video(source: Path) -> InputContainer:
    """Open a video, or standard input for `-`, so that it cannot make FFmpeg open other files.

    Raises:
        InputError: it is missing, not a video, or too damaged to be opened.
    """
    # "file:" keeps names such as -x.mp4, a:b.mp4 and %d.mp4 literal.
    name = "pipe:0" if source == STDIO else f"file:{source}"
    try:
        return av.open(name, "r", container_options=_OPTIONS, metadata_errors="surrogateescape")
    except FileNotFoundError as error:
        raise InputError(source, "no such file", "check the name") from error
    except PermissionError as error:
        raise InputError(source, "may not be read", "check its permissions") from error
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(source, f"cannot be read as video ({reason})", "check that it is whole") from error


def video_stream(container: InputContainer, source: Path) -> VideoStream:
    """The first video stream that is not an attached cover.

    Raises:
        InputError: there is none.
    """
    streams = moving_streams(container)
    if not streams:
        raise InputError(source, "has no video stream", "leave it out; there is nothing to colorize")
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
    """The header's field order; top field first where it is unknown and the frame is interlaced."""
    return TOP_FIRST[0] if tagged == 0 and first.interlaced_frame else tagged


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    data: SideData
    for data in iter(frame.side_data):  # type: ignore[assignment]  # yields entries, not keys
        if data.type == SideDataType.DISPLAYMATRIX:
            return struct.unpack("=9i", bytes(data))
    return None
