"""Whether a GIF is a picture or a short film (GIF89a). Needs nothing but the standard library."""

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

HEADER, DESCRIPTOR = 13, 9
IMAGE, EXTENSION, END = b",", b"!", b";"
COLORS = 0x80
"""Flag of a header or descriptor that a palette follows; the lowest three bits say how large it is."""


def is_animated_gif(source: Path) -> bool:
    """Whether a file is a GIF of more than one frame; not if it cannot be read, as its reader will say."""
    with suppress(OSError), source.open("rb") as file:
        header = file.read(HEADER)
        if len(header) < HEADER or not header.startswith((b"GIF87a", b"GIF89a")):
            return False
        _skip_palette(file, header[10])
        frames = 0
        while (kind := file.read(1)) not in (b"", END):
            if kind not in (IMAGE, EXTENSION):  # stray bytes, which decoders skip
                continue
            if kind == IMAGE:
                frames += 1
                if frames > 1:
                    return True
                _skip_palette(file, file.read(DESCRIPTOR)[-1:].ljust(1, b"\0")[0])
            file.seek(1, 1)  # code size, or the extension's label
            while size := file.read(1).ljust(1, b"\0")[0]:
                file.seek(size, 1)
    return False


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & COLORS:
        file.seek(3 << (flags & 7) + 1, 1)
