"""Files as other programs write them, and as disks return them, made of a few lines each."""

import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.broken import encoded
from support.scenes import scene

exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
exiv2 = pytest.mark.skipif(shutil.which("exiv2") is None, reason="exiv2 is not installed")


def exif_value(path: Path, tag: str) -> bytes:
    done = subprocess.run(["exiftool", "-b", f"-{tag}", str(path)], capture_output=True, check=False)
    return done.stdout


def exif_values(*paths: Path, tags: tuple[str, ...]) -> list[dict[str, Any]]:
    """The values of tags in each file, by one start of exiftool."""
    command = ["exiftool", "-json", *(f"-{tag}" for tag in tags), *map(str, paths)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return [{name: value for name, value in one.items() if name != "SourceFile"} for one in found]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def jp2(stream: bytes, shape: tuple[int, int], components: int, *parts: bytes) -> bytes:
    """A JP2 file around a codestream; `parts` go into its header."""
    image = box(b"ihdr", struct.pack(">IIHBBBB", *shape, components, 7, 7, 0, 0))
    head = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return head + box(b"jp2h", image + b"".join(parts)) + box(b"jp2c", stream)


SRGB, GRAY = box(b"colr", bytes((1, 0, 0, 0, 0, 0, 16))), box(b"colr", bytes((1, 0, 0, 0, 0, 0, 17)))


def tag_at(data: bytes, code: int) -> int:
    """Position of a tag of the first directory of a little-endian TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    rows = range(start + 2, start + 2 + 12 * count, 12)
    return next(at for at in rows if struct.unpack_from("<H", data, at)[0] == code)


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    return encoded("tiff", pixels, metadata=None, photometric="minisblack", **options)


def with_canon_note(pixels: NDArray[Any]) -> bytes:
    """A TIFF with an Exif directory and a maker note whose offset is from the start of the file."""
    data = tiff(pixels, extratags=[(271, 2, 6, "Canon", True), (65000, 4, 1, 0, True)])
    owner = b"OWNER-FIELD-0001".ljust(32, b"\0")
    exif = len(data) + len(data) % 2
    note = exif + 2 + 12 + 4
    value = note + 2 + 12 + 4
    entry = struct.pack("<HHII", 9, 2, len(owner), value)
    block = struct.pack("<H", 1) + entry + bytes(4) + owner
    result = bytearray(data.ljust(exif, b"\0"))
    result += struct.pack("<HHHII", 1, 37500, 7, len(block), note) + bytes(4) + block
    struct.pack_into("<HHII", result, tag_at(data, 65000), 34665, 4, 1, exif)
    return bytes(result)


def jpeg(kind: str = "gray", **options: Any) -> bytes:
    pixels = scene(60, 80) if kind == "gray" else np.stack([scene(60, 80)] * 3, axis=2)
    return encoded("jpeg", pixels, **options)


def inserted(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    parts = [struct.pack(">BBH", 255, marker, len(body) + 2) + body for marker, body in segments]
    return data[:2] + b"".join(parts) + data[2:]


XPACKET = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'


def packet(encoding: str, declaration: str = "", prefix: str = "Iptc4xmpExt") -> bytes:
    name = 'xmlns:{}="{}"'.format
    iptc, dc = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "http://purl.org/dc/elements/1.1/"
    text = (
        f"{declaration or XPACKET}<x:xmpmeta {name('x', 'adobe:ns:meta/')}>"
        f"<rdf:RDF {name('rdf', 'http://www.w3.org/1999/02/22-rdf-syntax-ns#')}>"
        f"<rdf:Description rdf:about='' {name('dc', dc)} {name(prefix, iptc)} "
        f'{prefix}:AISystemUsed="another">'
        '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Stra\u00dfe</rdf:li></rdf:Alt></dc:title>'
        "<dc:subject><rdf:Bag><rdf:li>M\u00fchle</rdf:li></rdf:Bag></dc:subject>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return text.encode(encoding)


LATIN_1 = '<?xml version="1.0" encoding="iso-8859-1"?>'


PACKETS = {
    "UTF-8": packet("utf-8"), "UTF-16 LE": packet("utf-16-le"), "UTF-16 BE": packet("utf-16-be"),
    "Latin-1": packet("latin-1", LATIN_1), "prefix": packet("utf-8", prefix="other"),
}  # fmt: skip


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_profile(name: bytes, content: bytes) -> bytes:
    """Metadata in a PNG as ImageMagick writes them."""
    lines = (b"", name, b"%8d" % len(content), content.hex().encode(), b"")
    return chunk(b"tEXt", b"Raw profile type " + name + b"\0" + b"\n".join(lines))


EXIF = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 315, 2, 7, 26) + bytes(4) + b"Nobody\0"
"""An artist."""


def png(*extra: bytes, end: bool = True) -> bytes:
    data = encoded("png")
    data = data[:33] + b"".join(extra) + data[33:]
    return data if end else data[:-12]
