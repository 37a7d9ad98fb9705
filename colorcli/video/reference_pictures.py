"""Frames written to be painted over, and whether somebody has: the PNG files of `colorcli refs`.

A digest of the pixels stands in the text of the file. A program that changes pixels either keeps the text,
which then does not fit, or drops it. So only a file that shows what was written is taken as unchanged.
"""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from colorcli.files import atomic_write

MARK = "colorcli-unchanged"
"""Key of the digest in the PNG's text."""


def write_reference(path: Path, rgb: NDArray[np.uint8], xmp: bytes | None = None) -> None:
    """Write a colorized frame, RGB [H, W, 3], with the mark; `xmp` is a packet about it, in UTF-8."""
    text = PngImagePlugin.PngInfo()
    text.add_text(MARK, _digest(rgb))
    if xmp is not None:
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    with atomic_write(path) as partial:
        Image.fromarray(rgb).save(partial, "png", pnginfo=text, compress_level=1)


def is_unchanged(path: Path) -> bool:
    """Whether a file shows the very pixels that `write_reference` wrote; False if it cannot be read."""
    try:
        return _is_unchanged(path, path.stat().st_mtime_ns)
    except OSError:
        return False


@cache
def _is_unchanged(path: Path, modified: int) -> bool:
    """Remembered, because every part of a film asks for the references anew; `modified`: time of the file."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            mark = picture.info.get(MARK)
            return mark is not None and mark == _digest(np.asarray(picture.convert("RGB")))
    except (OSError, SyntaxError, ValueError):
        return False


def _digest(rgb: NDArray[np.uint8]) -> str:
    content = repr(rgb.shape).encode() + rgb.tobytes()
    return hashlib.sha256(content).hexdigest()
