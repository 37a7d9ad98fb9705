"""What a film is: the facts of its picture that the run must know and the output must keep."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from colorcli.color.ycbcr import BT601, BT709, BT2020, Matrix
from colorcli.errors import InputError, RefusedError
from colorcli.files import STDIO

FORMATS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,nut,"
    "yuv4mpegpipe,mxf,gxf,dv,rm,gif,wtv,nsv,swf,image2,png_pipe,tiff_pipe,dpx_pipe,exr_pipe,j2k_pipe"
)
"""Demuxers that read one file and nothing else. Playlists (hls, concat, dash) open whatever they name, even
from inside a file called .mp4, and a protocol whitelist does not stop them from opening local files."""
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file,pipe,fd"}

SMPTE240M = Matrix(0.212, 0.087)
MATRICES = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 7: SMPTE240M, 9: BT2020, 10: BT2020}
"""ITU-T H.273 MatrixCoefficients that are plain Y'CbCr; 4 (FCC) is BT.601 to within a rounding."""
RGB, UNSPECIFIED, RESERVED = 0, 2, 3
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
LIMITED, FULL = 1, 2
PROGRESSIVE, TOP_FIRST, BOTTOM_FIRST = 1, (2, 5), (3, 4)
"""AVFieldOrder: tt 2, bb 3, tb 4, bt 5; the first letter is the field stored first, the second the one shown
first, and it is the second that matters here."""
USUAL_RATES = (Fraction(1), Fraction(240))


@dataclass(frozen=True)
class VideoInfo:
    """The picture stream of one film."""

    source: Path
    stream: int
    codec: str
    container: str
    width: int
    height: int
    pix_fmt: str
    time_base: Fraction
    rate: Fraction
    """Frames per second, on average; only the encoder's rate control uses it."""
    frames: int | None
    """How many there are by the header, None where it does not say."""
    sample_aspect: Fraction | None
    range: int
    """AVColorRange: 0 unsaid, 1 limited, 2 full."""
    matrix_tag: int
    primaries: int
    transfer: int
    field_order: int
    display_matrix: tuple[int, ...] | None

    @property
    def is_rgb(self) -> bool:
        return av.VideoFormat(self.pix_fmt).is_rgb or "pal8" in self.pix_fmt

    @property
    def is_full_range(self) -> bool:
        """Gray formats hold no headroom by custom (libswscale reads them so), other untagged video does."""
        unsaid = self.pix_fmt.startswith(("yuvj", "gray", "ya", "mono"))
        return self.range == FULL or (self.range != LIMITED and unsaid)

    @property
    def matrix(self) -> Matrix:
        """The tagged matrix; untagged film is BT.601 up to 576 lines and BT.709 above, as players take it."""
        return MATRICES.get(self.matrix_tag, BT601 if self.height <= 576 else BT709)

    @property
    def hdr(self) -> str | None:
        return HDR_TRANSFERS.get(self.transfer)

    @property
    def is_interlaced(self) -> bool:
        return self.field_order > PROGRESSIVE

    @property
    def is_bottom_first(self) -> bool:
        """Whether the bottom field was taken first."""
        return self.field_order in BOTTOM_FIRST


def open_video(source: Path) -> InputContainer:
    """Open a film, or standard input for `-`, with every door to other files shut.

    Raises:
        InputError: it is missing, no film, or damaged beyond opening.
    """
    # "file:" keeps names such as -x.mp4, a:b.mp4 and %d.mp4 what they are: names.
    name = "pipe:0" if source == STDIO else f"file:{source}"
    try:
        return av.open(name, "r", container_options=OPTIONS, metadata_errors="surrogateescape")
    except FileNotFoundError as error:
        raise InputError(source, "no such file", "check the name") from error
    except PermissionError as error:
        raise InputError(source, "may not be read", "check its permissions") from error
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            source, f"cannot be read as film ({_reason(error)})", "check that it is whole"
        ) from error


def video_stream(container: InputContainer, source: Path) -> VideoStream:
    """The first moving picture; covers attached to it do not count.

    Raises:
        InputError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise InputError(source, "holds no moving picture", "leave it out; there is nothing to colorize")


def survey(container: InputContainer, source: Path, first: VideoFrame) -> VideoInfo:
    """Facts of the picture, from the container and its first decoded frame.

    Raises:
        RefusedError: the color system is none that luma and chroma can be told apart in.
    """
    stream = video_stream(container, source)
    matrix = first.colorspace
    if matrix not in MATRICES and matrix not in (RGB, UNSPECIFIED, RESERVED):
        raise RefusedError(source, f"matrix coefficients {matrix} of H.273 are no Y'CbCr", "convert it first")
    return VideoInfo(
        source=source,
        stream=stream.index,
        codec=stream.codec_context.name,
        container=container.format.name,
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        time_base=stream.time_base or Fraction(1, 1000),
        rate=_usual_rate(stream),
        frames=_frame_count(container, stream),
        sample_aspect=stream.sample_aspect_ratio or None,
        range=first.color_range,
        matrix_tag=matrix,
        primaries=first.color_primaries,
        transfer=first.color_trc,
        field_order=_field_order(stream.codec_context.field_order, first),
        display_matrix=_display_matrix(first),
    )


def picture_facts(source: Path, first: VideoFrame, rate: Fraction, count: int) -> VideoInfo:
    """Facts of numbered pictures, from the first of them; their clock ticks once a picture."""
    return VideoInfo(
        source=source,
        stream=0,
        codec="png",
        container="image2",
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        time_base=1 / rate,
        rate=rate,
        frames=count,
        sample_aspect=None,
        range=first.color_range,
        matrix_tag=first.colorspace,
        primaries=first.color_primaries,
        transfer=first.color_trc,
        field_order=PROGRESSIVE,
        display_matrix=None,
    )


def _usual_rate(stream: VideoStream) -> Fraction:
    """The average rate where it is believable, or what else the container says, or 25."""
    slowest, fastest = USUAL_RATES
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and slowest <= rate <= fastest:
            return rate
    return Fraction(25)


def _frame_count(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames:
        return stream.frames
    if container.duration and stream.average_rate:
        return round(Fraction(container.duration, 1_000_000) * _usual_rate(stream))
    return None


def _field_order(tagged: int, first: VideoFrame) -> int:
    """What the header says; where it says nothing but the frame is interlaced, top field first."""
    return TOP_FIRST[0] if tagged == 0 and first.interlaced_frame else tagged


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    data: SideData
    for data in iter(frame.side_data):  # type: ignore[assignment]  # yields entries, not keys
        if data.type == SideDataType.DISPLAYMATRIX:
            return struct.unpack("=9i", bytes(data))
    return None


def _reason(error: Exception) -> str:
    text: Any = getattr(error, "strerror", None) or error
    return str(text)
