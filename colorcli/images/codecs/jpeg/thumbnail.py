"""The thumbnail inside a JPEG's Exif block, drawn anew from the colored picture."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg.segments import Segment
from colorcli.images.metadata.exif import with_thumbnail

QUALITIES = range(90, 9, -10)
"""Tried in turn until the new thumbnail takes no more bytes than the old one."""

Rgb = NDArray[np.uint8]


def with_color_thumbnail(head: Sequence[Segment], picture: Rgb) -> tuple[Segment, ...]:
    """The segments `head` with a thumbnail of `picture`, RGB [h, w, 3] as stored, where there was one."""
    return tuple(_redrawn(segment, picture) for segment in head)


def _redrawn(segment: Segment, picture: Rgb) -> Segment:
    if segment.marker != seg.APP1 or not segment.payload.startswith(seg.EXIF):
        return segment
    block = with_thumbnail(segment.payload[len(seg.EXIF) :], lambda old: _thumbnail(old, picture))
    return replace(segment, payload=seg.EXIF + block)


def _thumbnail(old: bytes, picture: Rgb) -> bytes | None:
    """A JPEG of the old one's size in pixels, and no more bytes; None where that cannot be."""
    try:
        frame = seg.frame_in(old)
    except ValueError:
        return None
    bgr = cv2.cvtColor(_letterboxed(picture, frame.height, frame.width), cv2.COLOR_RGB2BGR)
    for quality in QUALITIES:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        _, coded = cv2.imencode(".jpg", bgr, options)
        if len(coded) <= len(old):
            return coded.tobytes()
    return None


def _letterboxed(picture: Rgb, height: int, width: int) -> Rgb:
    """The picture as large as fits, on black: cameras put 3:2 into thumbnails of 4:3."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner_height, inner_width = (
        min(limit, max(1, round(length * scale)))
        for limit, length in zip((height, width), picture.shape[:2], strict=True)
    )
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    result = np.zeros((height, width, 3), np.uint8)
    result[top : top + inner_height, left : left + inner_width] = cv2.resize(
        picture, (inner_width, inner_height), interpolation=cv2.INTER_AREA
    )
    return result
