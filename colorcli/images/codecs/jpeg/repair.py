"""JPEGs that libjpeg reads with a warning: stray bytes between segments, and no end-of-image marker."""

from collections.abc import Sequence

import imagecodecs
import numpy as np

from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg import turbojpeg
from colorcli.images.codecs.jpeg.plane import GRAY, decoded_gray
from colorcli.images.codecs.jpeg.segments import Segment

PADDINGS = (b"\x55" * 64, b"\xaa" * 64)
"""Entropy-coded data that decode to different coefficients."""
NO_LAST_SCANS = "its last scans are missing: it is less sharp than it was"
NO_END = "its end marker is missing: added"
STRAY = "stray bytes between its segments are left out"


def repaired(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The file as it should be, and what was wrong with it.

    Raises:
        DamagedError: part of the image is missing.
    """
    segments, at, stray = [Segment(seg.SOI)], 2, False
    while (found := seg.next_marker(data, at)) is not None:
        start, marker = found
        stray = stray or bool(data[at:start].strip(b"\xff\0"))
        stray = stray or b"\xff\0" in data[at:start]
        at = start + 2
        if marker < seg.FIRST_WITH_SEGMENT:
            raise DamagedError("broken between segments")
        if marker == seg.EOI:
            return seg.join([*segments, Segment(seg.EOI)]) + data[at:], (STRAY,) * stray
        end = at + int.from_bytes(data[at : at + 2], "big")
        payload = data[at + 2 : end]
        if end < at + 2 or end > len(data):
            raise DamagedError("truncated")
        at = end
        scan = b""
        if marker == seg.SOS:
            following = seg.next_marker(data, at)
            at = len(data) if following is None else following[0]
            scan = data[end:at]
        segments.append(Segment(marker, payload, scan))
    return _with_end(segments), ((STRAY,) * stray + (NO_END,))


def salvaged(data: bytes) -> tuple[bytes, str]:
    """A sound JPEG of what libjpeg can read of a damaged one, and what has become of it.

    Raises:
        DamagedError: nothing can be read, or TurboJPEG is not installed.
    """
    found = turbojpeg.salvaged(data) or turbojpeg.salvaged(_first_scan(data))
    if found is None:
        raise DamagedError("nothing of it can be read")
    rows = decoded_gray(found)
    missing = np.cumprod((rows == GRAY).all(axis=1)[::-1]).mean()
    lowest = f": the lowest {missing:.0%} are missing" if missing else ""
    return found, f"damaged, salvaged as far as it can be read{lowest}"


def _first_scan(data: bytes) -> bytes:
    """The file up to what ends its first scan; all of it if there is none."""
    at = 2
    while (found := seg.next_marker(data, at)) is not None:
        at = found[0] + 2
        if found[1] == seg.SOS:
            following = seg.next_marker(data, at)
            return data[: following[0]] + b"\xff\xd9" if following else data
        at += int.from_bytes(data[at : at + 2], "big")
    return data


def _with_end(segments: list[Segment]) -> bytes:
    """The file with an EOI after the last bit that its image needs; what follows is kept behind it."""
    *head, last = segments
    if not last.scan or not has_all_scans(segments):
        raise DamagedError("truncated")
    start = seg.join([*head, Segment(last.marker, last.payload)])
    scan = last.scan
    # A copy that was cut off may be filled with zeros or ones, which decode to something.
    likely = len(scan.rstrip(b"\0\xff"))
    likely += 2 * scan.startswith(b"\xff\0", likely)  # a byte of 255, with the zero that is stuffed after it
    low, high = 0, min(len(scan), likely + 1)
    if not _is_whole(start + scan[:high]):
        raise DamagedError("truncated")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_whole(start + scan[:middle]) else (middle, high)
    high += scan[high - 1 : high] == b"\xff"  # with the zero that is stuffed after it
    return start + scan[:high].removesuffix(b"\xff") + b"\xff\xd9" + scan[high:]


def _is_whole(data: bytes) -> bool:
    """Whether no pixel depends on what would follow."""
    data = data.removesuffix(b"\xff")
    try:
        one, other = (imagecodecs.jpeg8_decode(data + padding + b"\xff\xd9") for padding in PADDINGS)
    except imagecodecs.Jpeg8Error:
        return False
    return np.array_equal(one, other)


def has_all_scans(segments: Sequence[Segment]) -> bool:
    """Whether every coefficient of every component has come to its last bit (T.81, B.2.3).

    Raises:
        DamagedError: a scan is not of this frame.
    """
    frame = seg.frame_of(segments)
    bits = {part.identifier: np.full(64, -1) for part in frame.components}
    for segment in segments:
        if segment.marker != seg.SOS:
            continue
        count = int.from_bytes(segment.payload[:1])
        parts = segment.payload[1 : 1 + 2 * count : 2]
        if not count or len(segment.payload) < 4 + 2 * count or not set(parts) <= bits.keys():
            raise DamagedError("broken start of scan")
        first, last, low = (*segment.payload[1 + 2 * count : 3 + 2 * count], segment.payload[-1] & 15)
        if frame.marker not in (
            seg.PROGRESSIVE,
            seg.PROGRESSIVE_ARITHMETIC,
        ):  # whatever it says: decoders do not look
            first, last, low = 0, 63, 0
            if any(bits[part][0] >= 0 for part in parts):
                raise DamagedError("two scans of one component")
        for part in parts:
            bits[part][first : last + 1] = low
    return all((levels == 0).all() for levels in bits.values())
