"""Which files are video, by name and by first bytes. Needs nothing but the standard library."""

import re
from pathlib import Path

VIDEO_SUFFIXES = frozenset((
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts",
    ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".3gp", ".3g2", ".mxf", ".dv", ".y4m", ".nut", ".mjpeg", ".mjpg",
    ".m1v", ".m2t", ".tod", ".qt", ".divx", ".rm", ".rmvb",
))  # fmt: skip
UNWRITTEN_SUFFIXES = (".rm", ".rmvb")
"""Of containers that are only read: their colorized films are `.mkv`."""
FRAME_NUMBER = re.compile(r"%0?(\d*)d")
"""The printf pattern that stands for a frame's number in a file name; group 1: the fewest digits."""
_TS_PACKET, _BLURAY_PACKET = 188, 192
"""Bytes of a packet of an MPEG transport stream; on Blu-ray and in AVCHD a time of four bytes precedes it."""
_TS_SYNC = b"G"
_MAGIC = re.compile(
    rb"\x00\x00\x01[\xba\xb3]"  # MPEG program stream; MPEG-1 or MPEG-2 video
    rb"|\x1aE\xdf\xa3"  # Matroska
    rb"|....ftyp(?!avi[fs]|hei[cfmsx]|hev[cmx]|mif1|msf1|jp2 |jpx )"  # MP4, but no still image
    rb"|....(?:moov|mdat|wide|free|skip)"  # QuickTime
    rb"|RIFF....AVI[ X]"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11"  # ASF
    rb"|OggS|FLV\x01|\.RMF|YUV4MPEG2 "
    rb"|\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"  # MXF
    rb"|\x1f\x07\x00[\x3f\xbf]",  # DV
    re.DOTALL,
)
_GIF = (b"GIF87a", b"GIF89a")


def is_frame_pattern(path: Path) -> bool:
    """Whether a path names numbered pictures, as `frame_%06d.png` does; `%d.mkv` is one video file."""
    return FRAME_NUMBER.search(path.name) is not None and path.suffix.lower() not in VIDEO_SUFFIXES


def is_video(head: bytes) -> bool:
    """Whether a file that begins with `head` is video, whatever its suffix.

    An Ogg file is one only if it names the Theora codec, as `.ogg` is mostly audio; a GIF always.
    """
    if head.startswith(b"OggS"):
        return b"\x80theora" in head or b"BBCD\0" in head
    return _MAGIC.match(head) is not None or head.startswith(_GIF) or _is_transport_stream(head)


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > start + 2 * size and head[start : start + 2 * size + 1 : size] == 3 * _TS_SYNC
        for start, size in ((0, _TS_PACKET), (4, _BLURAY_PACKET))
    )
