"""Which encoder suits a video, and the arguments that each encoder gets by default."""

from dataclasses import dataclass
from typing import Any

from colorcli.video.containers import ONE_TIME
from colorcli.video.info import VideoInfo
from colorcli.video.pixel_formats import natural_layout

LOSSLESS = {
    "ffv1",
    "ffvhuff",
    "huffyuv",
    "utvideo",
    "magicyuv",
    "rawvideo",
    "v210",
    "v410",
    "r210",
    "qtrle",
    "gif",
}
STILL_CODECS = {"dpx", "tiff", "png", "bmp", "exr", "jpeg2000"}
_ONLY_ENCODER = {
    "nut": "rawvideo", "yuv4mpegpipe": "rawvideo", "webm": "libvpx-vp9", "vob": "mpeg2video",
    "ogg": "libtheora", "gif": "gif", "rm": "rv20", "mpeg1video": "mpeg1video", "mpeg2video": "mpeg2video",
    "dv": "dvvideo", "hevc": "libx265", "ivf": "libvpx-vp9", "mjpeg": "mjpeg",
}  # fmt: skip
"""Containers with one usual encoder. NUT and Y4M are piped to another program, with uncompressed video."""
REORDERING = {"libx264", "libx265", "h264_nvenc", "hevc_nvenc", "libopenh264"}
"""Encoders whose frames in AVI and ASF are shown late, as if they had been reordered, even when none was."""
UNFLAGGED = {"mjpeg", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "v210"}
"""Encoders whose frames do not say whether they are interlaced; some containers do."""
HARDWARE = ("_nvenc", "_qsv", "_vaapi", "_amf", "_videotoolbox", "_v4l2m2m", "_vulkan")
"""Suffixes of encoders that need a device."""
SEPARATE_ALPHA = {"libvpx", "libvpx-vp9"}
"""Encoders that store transparency beside their frames, where NUT cannot keep it."""
X264_PARAMS = "cpu-independent=1"
"""Without it bits depend on the kind of processor, and with AVX-512 even on memory that x264 reads without
having written it: at widths that are not multiples of 128 pixels two runs may differ."""
X265_PARAMS = "log-level=error:pools=4:frame-threads=2"
_DEEPEST_HEVC = 12
"""Bits that libx265 codes and libx264 does not."""
PRORES_PROFILES = {1: 3, 0: 4}
"""log2 of the horizontal chroma subsampling -> prores_ks profile: 422 HQ, 4444."""


@dataclass(frozen=True)
class EncoderDefaults:
    """How an encoder takes quality and speed, and its default arguments."""

    quality: str | None = None
    """The ffmpeg option behind --crf."""
    speed: str | None = None
    """The ffmpeg option behind --preset."""
    arguments: tuple[tuple[str, Any], ...] = ()
    worst: float = 51
    """The highest value of the quality option; the lowest is 0. Encoders clip values outside, or report them
    in unclear words."""


_DEFAULTS = {
    # CRF 16 is one step better than what is called visually lossless (17 to 18): grain and scratches stay.
    # A lookahead of 30 frames instead of 40 saves 70 MB at 1080 lines without a visible difference.
    # The bits of some encoders depend on the number of threads, which must not be the number of cores: the
    # segments of a film may be encoded on different machines.
    "libx264": EncoderDefaults(
        "crf",
        "preset",
        (
            ("crf", 16),
            ("preset", "medium"),
            ("rc-lookahead", 30),
            ("threads", 4),
            ("x264-params", X264_PARAMS),
        ),
    ),
    "libx265": EncoderDefaults(
        "crf", "preset", (("crf", 18), ("preset", "medium"), ("x265-params", X265_PARAMS))
    ),
    "libsvtav1": EncoderDefaults("crf", "preset", (("crf", 20), ("preset", 6)), worst=63),
    "libaom-av1": EncoderDefaults("crf", "cpu-used", (("crf", 18), ("cpu-used", 4)), worst=63),
    "libvpx-vp9": EncoderDefaults(
        "crf", "cpu-used", (("crf", 18), ("b:v", 0), ("cpu-used", 2), ("row-mt", 1), ("threads", 4)), worst=63
    ),
    "h264_nvenc": EncoderDefaults("cq", "preset", (("cq", 18), ("preset", "p5"), ("rc", "vbr"), ("b:v", 0))),
    "hevc_nvenc": EncoderDefaults("cq", "preset", (("cq", 20), ("preset", "p5"), ("rc", "vbr"), ("b:v", 0))),
    "av1_nvenc": EncoderDefaults("cq", "preset", (("cq", 24), ("preset", "p5"), ("rc", "vbr"), ("b:v", 0))),
    # The archives' settings (FADGI): version 3, every frame a keyframe, checksums in the slices.
    "ffv1": EncoderDefaults(arguments=(("level", 3), ("g", 1), ("slices", 16), ("slicecrc", 1))),
    "prores_ks": EncoderDefaults("q:v", None, (("vendor", "apl0"),)),
    "mpeg2video": EncoderDefaults("q:v", None, (("q:v", 2), ("threads", 1)), worst=31),
    "mpeg4": EncoderDefaults("q:v", None, (("q:v", 2), ("threads", 1)), worst=31),
    "mjpeg": EncoderDefaults("q:v", None, (("q:v", 2),), worst=31),
}


def defaults_of(encoder: str) -> EncoderDefaults:
    """The defaults of an encoder, also of one that is not in the table."""
    return _DEFAULTS.get(encoder, EncoderDefaults("q:v"))


def default_encoder(info: VideoInfo, format_name: str) -> str:
    """Lossless video stays lossless, editing codecs stay, all else becomes H.264 or a near codec."""
    if format_name in _ONLY_ENCODER:
        return _ONLY_ENCODER[format_name]
    if info.codec in LOSSLESS | STILL_CODECS and format_name in ("matroska", "avi", "asf", "mov", "mxf"):
        return "ffv1"
    if info.codec == "prores" and format_name in ("matroska", "mov", "mxf"):
        return "prores_ks"
    if info.codec == "dnxhd" and format_name in ("mov", "mxf"):
        return "dnxhd"
    layout = natural_layout(info)
    if format_name == "mxf":  # PyAV writes no H.264 to it
        return "mpeg2video" if layout.bits == 8 and not layout.rgb and layout.shift[0] else "prores_ks"
    if format_name in ONE_TIME:
        return "mjpeg" if info.codec == "mjpeg" else "mpeg4" if layout.name == "yuv420p" else "ffv1"
    if (
        layout.bits == _DEEPEST_HEVC
        and not layout.alpha
        and format_name in ("matroska", "mp4", "mov", "mpegts")
    ):
        return "libx265"
    return "libx264"
