"""Strips and tiles decoded by libtiff, which reads what other decoders stop at, as faulty fax codes.

libtiff decodes whole files, so a strip or tile becomes the only strip of a small one.
"""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorcli.images.codecs.tiff.directories import (
    LONG,
    SHORT,
    Directory,
    Layout,
    Tag,
    Target,
    read_directory,
    write_directory,
)

ABOUT_CODING = frozenset((258, 259, 266, 277, 292, 293, 317, 338, 339))
"""Depth, compression, bit order, samples, options of fax, predictor, alpha, type of samples."""
WIDTH, HEIGHT, BITS, PHOTOMETRIC, OFFSETS, ROWS_PER_STRIP, BYTE_COUNTS = 256, 257, 258, 262, 273, 278, 279
BLACK_IS_ZERO = 1
FIRST = 8
"""Bytes of a file before its first strip."""


def decode_segment(source: Path, directory: int, coded: bytes, height: int, width: int) -> NDArray[Any]:
    """A strip or tile of the page whose directory is at this offset -> samples as stored, [height, width, C].

    Raises:
        OSError, imagecodecs.TiffError: libtiff cannot decode it.
    """
    with source.open("rb") as file:
        big_endian = file.read(2) == b"MM"
        big = file.read(2) in (b"+\0", b"\0+")
        tags = read_directory(file, directory, Layout(">" if big_endian else "<", big))
    layout = Layout(">" if big_endian else "<", big=False)
    kept: Directory = {code: tag for code, tag in tags.items() if code in ABOUT_CODING}
    sizes = {WIDTH: width, HEIGHT: height, ROWS_PER_STRIP: height, OFFSETS: FIRST, BYTE_COUNTS: len(coded)}
    kept |= {code: Tag(LONG, layout.pack(LONG, value)) for code, value in sizes.items()}
    kept[PHOTOMETRIC] = Tag(SHORT, layout.pack(SHORT, BLACK_IS_ZERO))
    content = io.BytesIO(bytes(FIRST) + coded)
    offset = write_directory(Target(content), kept, layout)
    content.seek(0)
    content.write((b"MM" if big_endian else b"II") + layout.pack(SHORT, 42) + layout.pack(LONG, offset))
    if BITS not in kept or kept[BITS].value == layout.pack(SHORT, 1):
        # imagecodecs fails on rows that faulty codes cut short.
        pixels = np.asarray(Image.open(content, formats=["TIFF"]))
    else:
        pixels = np.asarray(imagecodecs.tiff_decode(content.getvalue()))
    return pixels.reshape(height, width, -1)
