"""Output containers: which muxer a file name or --format means, and what the muxers are capable of."""

from pathlib import Path

import av

from colorcli.errors import RefusedError, UsageError

QUICKTIME = ("mov", "mp4", "3gp", "ipod")
MATROSKA = ("matroska", "webm")
VIDEO_ONLY = ("yuv4mpegpipe",)
"""Muxers that take nothing but one video stream."""
CONSTANT_RATE = ("yuv4mpegpipe", "avi")
"""Muxers without timestamps: a frame's number gives its time, at the rate in the header."""
ONE_TIME = ("avi", "asf")
"""Muxers that keep one time of each packet: only codecs that never reorder frames keep theirs."""
HEADERLESS = ("h264", "hevc", "vvc", "m4v")
"""Muxers of a bare stream, which write nothing but packets."""
ONE_LENGTH = ("mxf", "mxf_d10", "mxf_opatom", "dv", "gxf")
"""Muxers whose streams begin and end together, and have no gaps."""
_UNTIMED = ("yuv4mpegpipe", "ogg", "mxf_d10", "mxf_opatom", "gxf", "dv")
_NO_TIMES = 0x80
"""libavformat's flag AVFMT_NOTIMESTAMPS, which MXF and bare streams have."""
_BY_SUFFIX = {
    "mkv": "matroska", "ts": "mpegts", "m2ts": "mpegts", "m2t": "mpegts", "tod": "mpegts", "ps": "vob",
    "mpg": "vob", "mpeg": "vob", "mod": "vob", "m4v": "mp4", "qt": "mov", "divx": "avi",
    "ogg": "ogg", "ogv": "ogg",
}  # fmt: skip
"""Suffixes that libavformat takes for something else, or does not know."""
_BY_FORMAT = {**_BY_SUFFIX, "y4m": "yuv4mpegpipe"}
_PIPED = ("matroska", "nut", "yuv4mpegpipe", "mpegts", "webm")
_PIPED_DEFAULT = "matroska"
PICTURES = "image2"
"""libavformat's name of a sequence of pictures."""


def muxer_of(path: Path) -> str:
    """The muxer for a file name.

    Raises:
        RefusedError: no container has that suffix.
        UsageError: it is the suffix of pictures.
    """
    suffix = path.suffix.lstrip(".").lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    for name in sorted(av.formats_available):
        try:
            known = av.ContainerFormat(name, "w")
        except ValueError:
            continue
        if suffix in known.extensions and (known.name == suffix or suffix not in av.formats_available):
            if known.name == PICTURES:
                cause = f"the input is film, and .{suffix} is a suffix of pictures"
                remedy = f"name it {path.stem}.mkv, or {path.stem}_%06d.{suffix} for numbered pictures"
                raise UsageError(path, cause, remedy)
            return str(known.name)
    raise RefusedError(
        path, f"no video container has the suffix .{suffix}", "name the output .mkv, .mp4 or .mov"
    )


def keeps_times(format_name: str) -> bool:
    """Whether a muxer writes when each frame is shown; the others follow each other at a constant rate."""
    return format_name not in _UNTIMED and not av.ContainerFormat(format_name, "w").flags & _NO_TIMES


def piped_muxer(asked: str | None) -> str:
    """The muxer for standard output; `asked` is the value of --format.

    Raises:
        UsageError: --format names none that can be written to a pipe.
    """
    name = _BY_FORMAT.get(asked, asked) if asked else _PIPED_DEFAULT
    if name not in _PIPED:
        raise UsageError(f"--format {asked}", "cannot be written to a pipe", "use mkv, nut, y4m, ts or webm")
    return name
