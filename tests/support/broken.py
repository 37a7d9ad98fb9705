"""Images damaged in the ways found in archives, and unusual ones that are sound."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from support.scenes import scene


def encoded(kind: str, pixels: np.ndarray | None = None, **options: object) -> bytes:
    """A small sound image in one of Pillow's formats, or `tiff` or `jp2`."""
    pixels = scene(60, 80) if pixels is None else pixels
    target = io.BytesIO()
    if kind == "tiff":
        tifffile.imwrite(target, pixels, **options)
    elif kind == "jp2":
        return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True))
    else:
        Image.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def bomb() -> bytes:
    """A PNG of a few bytes whose header claims 3.6 billion pixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def tiff_that_never_ends() -> bytes:
    """A TIFF whose only directory points to itself as the next."""
    data = bytearray(encoded("tiff", metadata=None))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    return bytes(data)


def without(data: bytes, marker: int) -> bytes:
    """A JPEG without one of its segments."""
    at = data.index(bytes((0xFF, marker)))
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]


BROKEN: dict[str, Callable[[], bytes]] = {
    "truncated.jpg": lambda: half(encoded("jpeg")),
    "progressive-truncated.jpg": lambda: half(encoded("jpeg", progressive=True)),
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"This is not a picture.\n" * 20,
    "page.png": lambda: b"<!DOCTYPE html><html></html>",
    "document.tif": lambda: b"%PDF-1.4\n" + bytes(500),
    "no-frame.jpg": lambda: without(encoded("jpeg"), 0xC0),
    "no-tables.jpg": lambda: without(encoded("jpeg"), 0xDB),
    "start-only.jpg": lambda: b"\xff\xd8\xff\xe0",
    "truncated.png": lambda: half(encoded("png")),
    "checksum.png": lambda: flipped(encoded("png"), 200),
    "bomb.png": bomb,
    "animated.png": lambda: encoded(
        "png", save_all=True, append_images=[Image.fromarray(scene(60, 80)[::-1])]
    ),
    "truncated.tif": lambda: half(encoded("tiff", compression="deflate")),
    "empty.tif": lambda: b"II*\0",
    "noise.tif": lambda: b"MM\0*" + np.random.default_rng(7).bytes(900),
    "floating.tif": lambda: encoded("tiff", scene(60, 80).astype(np.float32)),
    "truncated.webp": lambda: half(encoded("webp")),
    "truncated.bmp": lambda: half(encoded("bmp")),
    "truncated.jp2": lambda: encoded("jp2")[:90],
    "truncated.avif": lambda: half(encoded("avif")),
    "film.jpg": lambda: b"\0\0\0\x20ftypisom" + bytes(300),
}
"""File name -> content that cannot be colorized."""

ODD: dict[str, Callable[[], bytes]] = {
    "bad-profile.jpg": lambda: encoded("jpeg", icc_profile=b"nonsense" * 40),
    "huge-exif.jpg": lambda: encoded("jpeg", exif=b"Exif\0\0" + b"II*\0" + bytes(65000)),
    "trailing.jpg": lambda: encoded("jpeg") + b"appended by a scanner" * 100,
    "wrong-suffix.jpg": lambda: encoded("png"),
    "UPPER.JPG": lambda: encoded("jpeg"),
    "one-pixel.png": lambda: encoded("png", scene(1, 1)),
    "one-row.png": lambda: encoded("png", scene(1, 300)),
    "one-column.jpg": lambda: encoded("jpeg", scene(300, 1)),
    "name with spaces, ümläuts and #%.png": lambda: encoded("png"),
    "-dash.png": lambda: encoded("png"),
    "two\nlines.png": lambda: encoded("png"),
    "never-ending.tif": tiff_that_never_ends,
}
"""File name -> content that is unusual and can be colorized."""


def write_all(folder: Path, files: dict[str, Callable[[], bytes]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content())
    return sorted(folder / name for name in files)
