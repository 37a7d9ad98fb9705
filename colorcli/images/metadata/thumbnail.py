"""The thumbnail inside an Exif block, replaced by one of the colorized picture."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorcli.images.metadata.exif import replace_thumbnail

QUALITIES = range(90, 9, -10)
"""Tried in turn until the new thumbnail takes no more bytes than the old one."""
LARGEST_SIDE = 4096
"""Pixels; what claims to be larger is not a thumbnail."""

Rgb = NDArray[np.uint8]


def color_thumbnail(exif: bytes, picture: Rgb) -> bytes:
    """An Exif block with a thumbnail of `picture`, RGB [h, w, 3] as stored, if it had a thumbnail."""
    return replace_thumbnail(exif, lambda old: _thumbnail(old, picture))


def _thumbnail(old: bytes, picture: Rgb) -> bytes | None:
    """A JPEG of the old one's width and height in no more bytes; None if there is no way to do that."""
    try:
        width, height = Image.open(io.BytesIO(old), formats=["JPEG"]).size
    except (OSError, ValueError, SyntaxError):
        return None
    if max(width, height) > LARGEST_SIDE:
        return None
    bgr = cv2.cvtColor(_letterboxed(picture, height, width), cv2.COLOR_RGB2BGR)
    for quality in QUALITIES:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        _, encoded = cv2.imencode(".jpg", bgr, options)
        if len(encoded) <= len(old):
            return encoded.tobytes()
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
