"""The encoder: which one, with what settings, in what pixel format; and frames into it.

ffmpeg encodes what it reads from its standard input (raw video in NUT) and gives NUT back. Frames are
numbered, not timed: an encoder then never sees a frame rate that it would want to mend, and the film's own
times are given back when its packets are muxed.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import ffmpeg
from av.video.frame import VideoFrame

from colorcli.errors import RefusedError, UsageError
from colorcli.options import VideoOptions
from colorcli.video.ffmpeg import Process, encoder_formats, find_ffmpeg
from colorcli.video.frame_converter import SHIFTS, Layout, layout, natural_layout, packed_rgb
from colorcli.video.info import FULL, LIMITED, RGB, VideoInfo

Arguments = dict[str, Any]

LOSSLESS = {"ffv1", "ffvhuff", "huffyuv", "utvideo", "magicyuv", "rawvideo", "v210", "v410", "r210", "qtrle"}
PICTURES = {"dpx", "tiff", "png", "bmp", "exr", "jpeg2000"}
RAW_FORMATS = {"nut", "yuv4mpegpipe"}
"""What is piped on to another program goes uncompressed."""


@dataclass(frozen=True)
class EncoderDefaults:
    """How an encoder is driven: the flags that its quality and speed go by, and what they are by default."""

    quality: str | None = None
    speed: str | None = None
    defaults: tuple[tuple[str, Any], ...] = ()
    worst: float = 51
    """Quality goes from 0 to here. Encoders clip what lies outside, or refuse it in words of their own."""


ENCODER_DEFAULTS = {
    # CRF 16 is a step beyond what is called visually lossless (17 to 18): grain and scratches stay.
    # Looking 30 frames ahead in place of 40 saves 70 MB at 1080 lines and costs nothing to be seen.
    "libx264": EncoderDefaults("crf", "preset", (("crf", 16), ("preset", "medium"), ("rc-lookahead", 30))),
    "libx265": EncoderDefaults(
        "crf", "preset", (("crf", 18), ("preset", "medium"), ("x265-params", "log-level=error"))
    ),
    "libsvtav1": EncoderDefaults("crf", "preset", (("crf", 20), ("preset", 6)), worst=63),
    "libaom-av1": EncoderDefaults("crf", "cpu-used", (("crf", 18), ("cpu-used", 4)), worst=63),
    "libvpx-vp9": EncoderDefaults(
        "crf", "cpu-used", (("crf", 18), ("b:v", 0), ("cpu-used", 2), ("row-mt", 1)), worst=63
    ),
    "h264_nvenc": EncoderDefaults("cq", "preset", (("cq", 18), ("preset", "p5"), ("rc", "vbr"), ("b:v", 0))),
    "hevc_nvenc": EncoderDefaults("cq", "preset", (("cq", 20), ("preset", "p5"), ("rc", "vbr"), ("b:v", 0))),
    "av1_nvenc": EncoderDefaults("cq", "preset", (("cq", 24), ("preset", "p5"), ("rc", "vbr"), ("b:v", 0))),
    # As archives keep film (FADGI): version 3, every frame a key frame, checksums in the slices.
    "ffv1": EncoderDefaults(defaults=(("level", 3), ("g", 1), ("slices", 16), ("slicecrc", 1))),
    "prores_ks": EncoderDefaults("q:v", None, (("vendor", "apl0"),)),
    "mpeg2video": EncoderDefaults("q:v", None, (("q:v", 2),), worst=31),
    "mpeg4": EncoderDefaults("q:v", None, (("q:v", 2),), worst=31),
    "mjpeg": EncoderDefaults("q:v", None, (("q:v", 2),), worst=31),
}
REORDERING = {"libx264", "libx265", "h264_nvenc", "hevc_nvenc", "libopenh264"}
"""Encoders whose pictures, read from AVI, are timed as if they had been reordered, even when none was."""
HARDWARE = ("_nvenc", "_qsv", "_vaapi", "_amf", "_videotoolbox", "_v4l2m2m", "_vulkan")
HIDING_ALPHA = {"libvpx", "libvpx-vp9"}
"""Encoders that put transparency beside their frames, where NUT has no place for it."""
PRORES_PROFILES = {1: 3, 0: 4}
"""log2 of the chroma subsampling across -> prores_ks profile: 422 HQ, 4444."""


@dataclass(frozen=True)
class EncodeSettings:
    """How one film is encoded."""

    encoder: str
    layout: Layout
    """What frames are painted in."""
    pix_fmt: str
    """What the encoder makes of them; the same, unless it takes only deeper ones or another was asked for."""
    arguments: tuple[tuple[str, Any], ...]

    @property
    def converts(self) -> bool:
        return self.pix_fmt != self.layout.name


def candidate_settings(info: VideoInfo, format_name: str, film: VideoOptions) -> list[EncodeSettings]:
    """Recipes that lose neither bit depth nor chroma resolution, the nearest to the source first.

    Raises:
        RefusedError: the encoder takes no pixel format that holds the source.
        SetupError: ffmpeg has no such encoder.
        UsageError: it has no such setting, or nothing has that pixel format's name.
    """
    encoder = film.codec or default_encoder(info, format_name)
    if format_name == "avi" and encoder in REORDERING:
        raise RefusedError(
            info.source, f"AVI would show {encoder} a frame late", "name the output .mkv or .mp4"
        )
    source = natural_layout(info)
    taken = encoder_formats(encoder)
    if encoder in HIDING_ALPHA:
        taken = tuple(name for name in taken if not _has_alpha(name))
    if film.pix_fmt:
        try:
            av.VideoFormat(film.pix_fmt)
        except ValueError as error:
            raise UsageError(
                f"--pix-fmt {film.pix_fmt}", "is no pixel format", "see `ffmpeg -pix_fmts`"
            ) from error
        if encoder in HIDING_ALPHA and _has_alpha(film.pix_fmt):
            raise RefusedError(info.source, f"{encoder} would lose its transparency", "use --codec ffv1")
        return [_settings(encoder, source, film.pix_fmt, info, format_name, film)]
    # yuvj names would have full range made of limited; range is a tag here, and stays what it is.
    choices = [
        found for name in taken if (found := layout(name) or packed_rgb(name)) and "j" not in name
    ] or [source]
    fitting = sorted((choice for choice in choices if _holds(choice, source)), key=_cost(source))
    if not fitting:
        nearest = max(choices, key=_likeness(source))
        raise RefusedError(
            info.source,
            f"{encoder} has no pixel format that holds {info.pix_fmt} without loss",
            f"choose --codec ffv1, or accept the loss with --pix-fmt {nearest.name}",
        )
    return [
        _settings(encoder, _paintable(choice, source), choice.name, info, format_name, film)
        for choice in fitting
    ]


def default_encoder(info: VideoInfo, format_name: str) -> str:
    """Lossless film stays lossless, an editing codec stays itself, all else becomes H.264 or what is near."""
    if format_name in RAW_FORMATS:
        return "rawvideo"
    if info.codec in LOSSLESS | PICTURES and format_name in ("matroska", "avi", "mov"):
        return "ffv1"
    if info.codec == "prores" and format_name in ("matroska", "mov", "mxf"):
        return "prores_ks"
    if info.codec == "dnxhd" and format_name in ("mov", "mxf"):
        return "dnxhd"
    if format_name == "avi":
        # AVI has no presentation times: only codecs that reorder nothing, by nature, keep theirs in it.
        plain = natural_layout(info).name == "yuv420p"
        return "mjpeg" if info.codec == "mjpeg" else "mpeg4" if plain else "ffv1"
    return {"webm": "libvpx-vp9", "vob": "mpeg2video", "mxf": "mpeg2video"}.get(format_name, "libx264")


def command(settings: EncodeSettings, info: VideoInfo, target: str) -> list[str]:
    """The ffmpeg command that encodes standard input to `target`."""
    frames = ffmpeg.input("pipe:0", format="nut")
    options = {
        "c:v": settings.encoder,
        "filter:v": ",".join(_filters(settings, info)),
        "pix_fmt": settings.pix_fmt,
        "fps_mode": "passthrough",
        **dict(settings.arguments),
    }
    if info.is_full_range and not settings.layout.rgb:
        # Without it, ffmpeg takes the encoder to want limited range and converts, tags or no tags.
        options["color_range"] = "pc"
    output = ffmpeg.output(frames["v:0"], target, format="nut", **options)
    quiet = output.global_args("-hide_banner", "-v", "error", "-nostats", "-y")
    return [str(part) for part in ffmpeg.compile(quiet, cmd=find_ffmpeg())]


class Encoder:
    """An ffmpeg that encodes frames to `target`; a context manager that kills it when left in trouble."""

    def __init__(self, settings: EncodeSettings, info: VideoInfo, target: str) -> None:
        self.frames = 0
        self._rate = info.rate
        self.process = Process(
            command(settings, info, target), subject=info.source, read_output=target.startswith("pipe:")
        )
        self._sink = av.open(f"pipe:{self.process.stdin.fileno()}", "w", format="nut")
        self._stream = self._sink.add_stream("rawvideo", rate=info.rate)
        self._stream.width, self._stream.height = info.width, info.height
        self._stream.pix_fmt = settings.layout.name
        self._stream.codec_context.time_base = 1 / info.rate

    def write(self, frame: VideoFrame) -> None:
        """Hand over the next frame; waits while the encoder is busy.

        Raises:
            InputError: the encoder gave up; why, is said.
        """
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        try:
            self._sink.mux(self._stream.encode(frame))
        except BrokenPipeError as error:
            raise self.process.failure() from error
        self.frames += 1

    def end_input(self) -> None:
        """Say that no more frames come.

        Raises:
            InputError: the encoder gave up.
        """
        try:
            self._sink.mux(self._stream.encode(None))
            self._sink.close()
            self.process.stdin.close()
        except BrokenPipeError as error:
            raise self.process.failure() from error

    def finish(self) -> None:
        """End the input and wait until everything is encoded.

        Raises:
            InputError: the encoder failed.
        """
        self.end_input()
        self.process.finish()

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.__exit__(kind, error, trace)


def _holds(choice: Layout, source: Layout) -> bool:
    """Whether a layout holds another's samples; RGB is kept RGB or becomes 4:4:4."""
    if choice.bits < source.bits or (source.alpha and not choice.alpha):
        return False
    if choice.rgb and not source.rgb:
        return False
    return choice.shift[0] <= source.shift[0] and choice.shift[1] <= source.shift[1]


def _has_alpha(pix_fmt: str) -> bool:
    return any(component.is_alpha for component in av.VideoFormat(pix_fmt).components)


def _likeness(source: Layout) -> Any:
    def likeness(choice: Layout) -> tuple[Any, ...]:
        coarser = max(0, sum(choice.shift) - sum(source.shift))
        return choice.rgb == source.rgb, choice.alpha == source.alpha, min(choice.bits, source.bits), -coarser

    return likeness


def _cost(source: Layout) -> Any:
    def cost(choice: Layout) -> tuple[Any, ...]:
        extra_chroma = sum(source.shift) - sum(choice.shift)
        return choice.rgb != source.rgb, choice.bits, choice.alpha and not source.alpha, extra_chroma

    return cost


def _paintable(choice: Layout, source: Layout) -> Layout:
    """What to paint in for an encoder format: the same at the source's own depth and kind of color."""
    if source.rgb:
        return source
    return _layout(f"yuv{'a' if choice.alpha and source.alpha else ''}", choice.shift, source.bits)


def _layout(kind: str, shift: tuple[int, int], bits: int) -> Layout:
    sampling = next(name for name, value in SHIFTS.items() if value == shift)
    found = layout(f"{kind}{sampling}p{f'{bits}le' if bits > 8 else ''}")
    assert found is not None
    return found


def _settings(
    encoder: str, painted: Layout, pix_fmt: str, info: VideoInfo, format_name: str, film: VideoOptions
) -> EncodeSettings:
    habit = ENCODER_DEFAULTS.get(encoder, EncoderDefaults("q:v"))
    arguments: Arguments = dict(habit.defaults)
    for flag, value, name in ((habit.quality, film.crf, "--crf"), (habit.speed, film.preset, "--preset")):
        if value is not None:
            if flag is None:
                raise UsageError(f"{name} {value}", f"{encoder} has no such setting", "use --encoder-args")
            arguments[flag] = value
    if film.crf is not None and not 0 <= film.crf <= habit.worst:
        raise UsageError(f"--crf {film.crf:g}", f"is no quality of {encoder}", f"choose 0 to {habit.worst:g}")
    if encoder == "prores_ks":
        target = layout(pix_fmt)
        across = target.shift[0] if target else 1
        if across not in PRORES_PROFILES:
            raise UsageError(f"--pix-fmt {pix_fmt}", "has no ProRes profile", "use yuv422p10le")
        arguments["profile:v"] = PRORES_PROFILES[across]
    if encoder == "dnxhd":
        deep = (layout(pix_fmt) or painted).bits > 8
        arguments["profile:v"] = "dnxhr_hqx" if deep else "dnxhr_hq"
    if encoder in ("libx264", "libx265") and info.range == LIMITED:
        # x264 and x265 leave out a range that is the usual one; the tag was there, so it stays there.
        name = {"libx264": "h264", "libx265": "hevc"}[encoder]
        arguments["bsf:v"] = f"{name}_metadata=video_full_range_flag=0"
    if encoder == "mjpeg" and not info.is_full_range:
        arguments["strict"] = "unofficial"
    arguments.update(_interlacing(encoder, info))
    arguments.update(_more_arguments(film.encoder_args))
    return EncodeSettings(encoder, painted, pix_fmt, tuple(arguments.items()))


def _interlacing(encoder: str, info: VideoInfo) -> Arguments:
    """What makes an encoder code fields as fields.

    Raises:
        RefusedError: it cannot.
    """
    if not info.is_interlaced:
        return {}
    first = "bff" if info.is_bottom_first else "tff"
    if encoder == "libx265":
        return {"x265-params": f"log-level=error:interlace={first}"}
    if encoder == "libx264":
        return {"flags": "+ildct+ilme", "x264-params": f"{first}=1"}
    if encoder in ("mpeg2video", "mpeg4"):
        return {"flags": "+ildct+ilme"}
    if encoder in ("prores_ks", "dnxhd", "prores"):
        return {"flags": "+ildct"}
    if encoder in ("ffv1", "rawvideo", "mjpeg", "huffyuv", "utvideo"):
        return {}
    raise RefusedError(info.source, f"is interlaced, which {encoder} cannot code", "add --deinterlace")


def _more_arguments(text: str) -> Arguments:
    """`--encoder-args` as ffmpeg-python takes arguments.

    Raises:
        UsageError: a value stands without its option, or a quote is not closed.
    """
    arguments: Arguments = {}
    name: str | None = None
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"--encoder-args {text!r}", f"cannot be split ({error})", "mend the quotes"
        ) from error
    for word in words:
        if word.startswith("-") and not _is_number(word):
            name = word[1:]
            arguments[name] = None
        elif name is None:
            raise UsageError(
                f"--encoder-args {text!r}", f"{word!r} belongs to no option", "begin with an option"
            )
        else:
            arguments[name], name = word, None
    return arguments


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _filters(settings: EncodeSettings, info: VideoInfo) -> list[str]:
    """Tags for the frames, which raw video in NUT does not carry; a conversion only from RGB."""
    filters = []
    light = f"color_primaries={info.primaries}:color_trc={info.transfer}"
    tagged = f"range={info.range}:{light}"
    if settings.layout.rgb and not (layout(settings.pix_fmt) or settings.layout).rgb:
        filters.append("scale=out_color_matrix=bt709:out_range=tv")
        tagged = f"range={LIMITED}:colorspace=1:color_primaries=1:color_trc=1"
    elif not settings.layout.rgb:
        full_range = FULL if info.is_full_range else info.range
        matrix = info.matrix_tag if info.matrix_tag != RGB else 2
        tagged = f"range={full_range}:colorspace={matrix}:{light}"
    filters.append(f"setparams={tagged}")
    if info.sample_aspect:
        filters.append(f"setsar={info.sample_aspect.numerator}/{info.sample_aspect.denominator}")
    if info.is_interlaced:
        filters.append(f"setfield={'bff' if info.is_bottom_first else 'tff'}")
    return filters


def segment_url(path: Path) -> str:
    """A path as ffmpeg takes it literally, whatever it begins with or holds."""
    return f"file:{path}"
