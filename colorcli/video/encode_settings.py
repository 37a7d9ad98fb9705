"""How one video is encoded: encoder, pixel format and arguments, from the options and the source."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import av

from colorcli.errors import RefusedError, UsageError
from colorcli.options import VideoOptions
from colorcli.video.containers import ONE_TIME
from colorcli.video.encoder_defaults import (
    PRORES_PROFILES,
    REORDERING,
    SEPARATE_ALPHA,
    EncoderDefaults,
    default_encoder,
    defaults_of,
)
from colorcli.video.ffmpeg import encoder_formats
from colorcli.video.info import LIMITED, VideoInfo
from colorcli.video.pixel_formats import (
    Layout,
    has_alpha,
    natural_layout,
    packed_layout,
    planar_layout,
    yuv_layout,
)

Arguments = dict[str, Any]
"""ffmpeg options without their dash; None for an option without a value."""


@dataclass(frozen=True)
class EncodeSettings:
    """How one video is encoded."""

    encoder: str
    layout: Layout
    """Of the frames that the encoder process is given."""
    pix_fmt: str
    """What the encoder process converts them to: the same format, unless the encoder takes only deeper ones
    or another one was asked for."""
    arguments: tuple[tuple[str, Any], ...]
    limits_range: bool = False
    """Whether full range is converted to limited range, where neither codec nor container can state it."""

    @property
    def converts(self) -> bool:
        return self.pix_fmt != self.layout.name


def candidate_settings(info: VideoInfo, format_name: str, options: VideoOptions) -> list[EncodeSettings]:
    """Settings that lose neither bit depth nor chroma resolution, the closest to the source first.

    Args:
        format_name: the muxer's name.

    Raises:
        RefusedError: the encoder has no pixel format that holds the source.
        SetupError: ffmpeg has no such encoder.
        UsageError: the encoder has no such setting, or there is no such pixel format.
    """
    encoder = options.codec or default_encoder(info, format_name)
    if format_name in ONE_TIME and encoder in REORDERING:
        cause = f"{format_name} would show {encoder} a frame late"
        raise RefusedError(info.source, cause, "name the output .mkv or .mp4")
    source = natural_layout(info)
    taken = encoder_formats(encoder)
    if encoder in SEPARATE_ALPHA:
        taken = tuple(name for name in taken if not has_alpha(name))
    if options.pix_fmt:
        _check_pix_fmt(options.pix_fmt, encoder, info)
        return [_settings(encoder, source, options.pix_fmt, info, options)]
    # Not the yuvj formats: ffmpeg would convert limited range to full range for them.
    planar_or_packed = (planar_layout(name) or packed_layout(name) for name in taken if "j" not in name)
    choices = [choice for choice in planar_or_packed if choice] or [source]
    fitting = sorted((choice for choice in choices if _holds(choice, source)), key=_cost(source))
    if not fitting:
        nearest = max(choices, key=_similarity(source))
        if info.codec != "prores" or encoder != "prores_ks":  # FFmpeg decodes 10-bit ProRes 4444 to 12 bits
            cause = f"{encoder} has no pixel format that holds {info.pix_fmt} without loss"
            remedy = f"accept the loss with --pix-fmt {nearest.name}"
            remedy = remedy if encoder == "ffv1" else f"choose --codec ffv1, or {remedy}"
            raise RefusedError(info.source, cause, remedy)
        fitting = [nearest]
    return [
        _settings(encoder, _frame_layout(choice, source), choice.name, info, options) for choice in fitting
    ]


def _check_pix_fmt(name: str, encoder: str, info: VideoInfo) -> None:
    try:
        av.VideoFormat(name)
    except ValueError as error:
        raise UsageError(f"--pix-fmt {name}", "is not a pixel format", "see `ffmpeg -pix_fmts`") from error
    if encoder in SEPARATE_ALPHA and has_alpha(name):
        raise RefusedError(info.source, f"{encoder} would lose its transparency", "use --codec ffv1")


def _holds(choice: Layout, source: Layout) -> bool:
    """Whether a layout holds another's samples; RGB stays RGB or becomes 4:4:4."""
    if choice.bits < source.bits or (source.alpha and not choice.alpha):
        return False
    if choice.rgb and not source.rgb:
        return False
    return choice.shift[0] <= source.shift[0] and choice.shift[1] <= source.shift[1]


def _similarity(source: Layout) -> Callable[[Layout], tuple[Any, ...]]:
    def similarity(choice: Layout) -> tuple[Any, ...]:
        coarser = max(0, sum(choice.shift) - sum(source.shift))
        return choice.rgb == source.rgb, choice.alpha == source.alpha, min(choice.bits, source.bits), -coarser

    return similarity


def _cost(source: Layout) -> Callable[[Layout], tuple[Any, ...]]:
    def cost(choice: Layout) -> tuple[Any, ...]:
        extra_chroma = sum(source.shift) - sum(choice.shift)
        return choice.rgb != source.rgb, choice.bits, choice.alpha and not source.alpha, extra_chroma

    return cost


def _frame_layout(choice: Layout, source: Layout) -> Layout:
    """The layout of the frames for an encoder format: the same sampling at the source's own bit depth."""
    if source.rgb:
        return source
    layout = yuv_layout(source.bits, choice.shift, alpha=choice.alpha and source.alpha)
    assert layout is not None
    return layout


def _settings(
    encoder: str, layout: Layout, pix_fmt: str, info: VideoInfo, options: VideoOptions
) -> EncodeSettings:
    defaults = defaults_of(encoder)
    arguments = _merged(
        dict(defaults.arguments),
        _slices(encoder, info),
        _quality_and_speed(encoder, defaults, options),
        _profile(encoder, pix_fmt, layout),
        _range_tag(encoder, info),
        _interlacing(encoder, info),
        _parse_arguments(options.encoder_args),
    )
    return EncodeSettings(encoder, layout, pix_fmt, tuple(arguments.items()))


def _slices(encoder: str, info: VideoInfo) -> Arguments:
    """FFV1 has four rows and columns of slices, which tiny frames, as in GIFs, cannot fill."""
    return {"slices": 1} if encoder == "ffv1" and min(info.width, info.height) < 4 else {}


def _merged(*groups: Arguments) -> Arguments:
    """Arguments of which later ones win; lists of an encoder's own parameters are joined."""
    merged: Arguments = {}
    for name, value in (argument for group in groups for argument in group.items()):
        is_list = name.endswith("-params") and name in merged
        merged[name] = f"{merged[name]}:{value}" if is_list else value
    return merged


def _quality_and_speed(encoder: str, defaults: EncoderDefaults, options: VideoOptions) -> Arguments:
    """--crf and --preset.

    Raises:
        UsageError: the encoder has no such setting, or the quality is outside its range.
    """
    arguments: Arguments = {}
    for name, value, option in (
        ("--crf", options.crf, defaults.quality),
        ("--preset", options.preset, defaults.speed),
    ):
        if value is None:
            continue
        if option is None:
            raise UsageError(f"{name} {value}", f"{encoder} has no such setting", "use --encoder-args")
        arguments[option] = value
    if options.crf is not None and not 0 <= options.crf <= defaults.worst:
        cause = f"is outside the range of {encoder}"
        raise UsageError(f"--crf {options.crf:g}", cause, f"choose 0 to {defaults.worst:g}")
    return arguments


def _profile(encoder: str, pix_fmt: str, layout: Layout) -> Arguments:
    """The profile of an editing codec.

    Raises:
        UsageError: ProRes has none for this pixel format.
    """
    target = planar_layout(pix_fmt)
    if encoder == "prores_ks":
        across = target.shift[0] if target else 1
        if across not in PRORES_PROFILES:
            raise UsageError(f"--pix-fmt {pix_fmt}", "has no ProRes profile", "use yuv422p10le")
        return {"profile:v": PRORES_PROFILES[across]}
    if encoder == "dnxhd":
        return {"profile:v": "dnxhr_hqx" if (target or layout).bits > 8 else "dnxhr_hq"}
    return {}


def _range_tag(encoder: str, info: VideoInfo) -> Arguments:
    """What keeps the source's range tag."""
    bitstream = {"libx264": "h264", "libx265": "hevc"}.get(encoder)
    if bitstream and info.range == LIMITED:
        # x264 and x265 omit the tag of limited range, which is the default.
        return {"bsf:v": f"{bitstream}_metadata=video_full_range_flag=0"}
    if encoder == "mjpeg" and not info.is_full_range:
        return {"strict": "unofficial"}
    return {}


def _interlacing(encoder: str, info: VideoInfo) -> Arguments:
    """What makes an encoder code fields as fields.

    Raises:
        RefusedError: it cannot.
    """
    if not info.is_interlaced:
        return {}
    first = "bff" if info.is_bottom_first else "tff"
    if encoder == "libx264":
        return {"flags": "+ildct+ilme", "x264-params": f"{first}=1"}
    if encoder in ("mpeg2video", "mpeg4"):
        return {"flags": "+ildct+ilme"}
    if encoder in ("prores_ks", "dnxhd", "prores"):
        return {"flags": "+ildct"}
    if encoder in ("ffv1", "rawvideo", "mjpeg", "huffyuv", "utvideo", "dvvideo"):
        return {}
    # libx265 codes single fields only.
    cause = f"is interlaced, which {encoder} cannot code"
    raise RefusedError(info.source, cause, "add --deinterlace, or choose --codec libx264 or ffv1")


def _parse_arguments(text: str) -> Arguments:
    """The value of --encoder-args.

    Raises:
        UsageError: a value has no option, or a quote is not closed.
    """
    subject = f"--encoder-args {text!r}"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(subject, f"cannot be split ({error})", "correct the quotes") from error
    arguments: Arguments = {}
    name: str | None = None
    for word in words:
        if word.startswith("-") and not _is_number(word):
            name = word[1:]
            arguments[name] = None
        elif name is None:
            raise UsageError(subject, f"{word!r} belongs to no option", "begin with an option")
        else:
            arguments[name], name = word, None
    return arguments


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
