"""How large a picture says it is, read from its header before anything is decoded."""

import struct
import warnings
from pathlib import Path

import tifffile
from PIL import Image

from colorcli.errors import InputError, RefusedError
from colorcli.images.codecs.jpeg import segments as jpeg_segments
from colorcli.images.codecs.pillow import PILLOW, prepare
from colorcli.images.codecs.registry import Format
from colorcli.images.codecs.tiff.directories import check_chain

LARGEST_HEADER = 1 << 20
"""Bytes from the start of a file in which JPEG, PNG and JPEG 2000 say their size."""


def check_size(source: Path, kind: Format, max_pixels: int) -> None:
    """Refuse what has more than `max_pixels` pixels in one page.

    Raises:
        RefusedError: it has.
        InputError: the header makes no sense.
    """
    try:
        pixels = _pixels(source, kind)
    except (ValueError, struct.error, KeyError, IndexError, TypeError, OSError, SyntaxError) as error:
        raise InputError(source, f"damaged {kind.upper()} ({error})", "scan or copy it again") from error
    if pixels > max_pixels:
        cause = f"{pixels:,} pixels, more than the {max_pixels:,} allowed"
        raise RefusedError(source, cause, "raise --max-pixels if the file can be trusted")


def _pixels(source: Path, kind: Format) -> int:
    if kind is Format.TIFF:
        check_chain(source)
        with tifffile.TiffFile(source) as file:
            pages = [page.aspage() for page in file.pages]
            return max(page.imagelength * page.imagewidth * max(1, page.imagedepth) for page in pages)
    prepare(kind)
    with source.open("rb") as file:
        head = file.read(LARGEST_HEADER)
    if kind is Format.JPEG:
        frame = jpeg_segments.frame_in(head)
        return frame.height * frame.width
    if kind is Format.PNG:
        width, height = struct.unpack_from(">II", head, 16)
        return int(width * height)
    if kind is Format.JPEG2000:
        at = head.find(b"\xff\x4f\xff\x51")
        _, _, width, height, left, top = struct.unpack_from(">HHIIII", head, at + 4)
        return int((width - left) * (height - top))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit on pixels; ours is checked by the caller
        try:
            width, height = Image.open(source, formats=[PILLOW[kind]]).size
        except Image.DecompressionBombError as error:
            raise RefusedError(source, str(error), "raise --max-pixels if the file can be trusted") from error
    return width * height
