"""What chunks of a PNG say about the image, also in the way of ImageMagick: as hexadecimal text."""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from colorcli.images.codecs.base import Metadata
from colorcli.images.metadata import icc
from colorcli.images.metadata.resources import iptc_in, resource_with_iptc

TEXTS = (b"tEXt", b"zTXt", b"iTXt")
EXIF_MARK, XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
"""What some programs keep from JPEG in front of Exif and XMP."""
XMP, RAW = b"XML:com.adobe.xmp", b"Raw profile type "
IPTC = RAW + b"iptc"
PER_INCH = 0.0254
"""Meters."""


@dataclass(frozen=True)
class Chunk:
    kind: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        check = zlib.crc32(self.kind + self.body)
        return struct.pack(">I", len(self.body)) + self.kind + self.body + struct.pack(">I", check)

    @property
    def keyword(self) -> bytes:
        """Of a text; empty for other chunks."""
        return self.body.partition(b"\0")[0] if self.kind in TEXTS else b""

    @property
    def text(self) -> bytes:
        """Of a text, unpacked; empty if it is damaged."""
        rest = self.body.partition(b"\0")[2]
        packed = self.kind == b"zTXt"
        if self.kind == b"iTXt":
            packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        elif packed:
            rest = rest[1:]
        return _unpacked(rest) or b"" if packed else rest


def body_of(chunks: Sequence[Chunk], kind: bytes) -> bytes | None:
    return next((chunk.body for chunk in chunks if chunk.kind == kind), None)


def metadata_of(chunks: Sequence[Chunk]) -> Metadata:
    return Metadata(_exif(chunks), _xmp(chunks), _profile(chunks), _dpi(chunks), _iptc(chunks))


def other_texts(chunks: Sequence[Chunk]) -> list[str]:
    """The keywords of texts that are not Exif, XMP or IPTC."""
    others = (chunk for chunk in chunks if chunk.keyword and not (_is_exif(chunk) or _is_xmp(chunk)))
    return [chunk.keyword.decode("latin-1") for chunk in others if chunk.keyword != IPTC]


def with_metadata(kept: Sequence[Chunk], metadata: Metadata) -> list[Chunk]:
    """The chunks with this metadata in place of what they had; what has not changed keeps its place."""
    result = list(kept)
    if metadata.icc != _profile(kept):
        result = [chunk for chunk in result if chunk.kind != b"iCCP"]
        if metadata.icc:
            result.append(Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi and body_of(kept, b"pHYs") is None:
        across, down = (round(dpi / PER_INCH) for dpi in metadata.dpi)
        result.append(Chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif and metadata.exif != _exif(kept):
        result = _replaced(result, _is_exif, Chunk(b"eXIf", metadata.exif))
    if metadata.xmp and metadata.xmp != _xmp(kept):
        result = _replaced(result, _is_xmp, Chunk(b"iTXt", XMP + b"\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc and metadata.iptc != _iptc(kept):
        block = resource_with_iptc(metadata.iptc)
        lines = b"\niptc\n%8d\n%s\n" % (len(block), block.hex().encode())
        new = Chunk(b"zTXt", IPTC + b"\0\0" + zlib.compress(lines))
        result = _replaced(result, lambda chunk: chunk.keyword == IPTC, new)
    return result


def _replaced(chunks: list[Chunk], old: Callable[[Chunk], bool], new: Chunk) -> list[Chunk]:
    return [chunk for chunk in chunks if not old(chunk)] + [new]


def _is_exif(chunk: Chunk) -> bool:
    return chunk.kind == b"eXIf" or bool(_raw_exif(chunk))


def _exif(chunks: Sequence[Chunk]) -> bytes | None:
    block = body_of(chunks, b"eXIf")
    if block is not None:
        return block.removeprefix(EXIF_MARK)
    return next((block for chunk in chunks if (block := _raw_exif(chunk))), None)


def _raw_exif(chunk: Chunk) -> bytes:
    block = _raw(chunk, b"exif", b"APP1").removeprefix(EXIF_MARK)
    return block if block[:2] in (b"II", b"MM") else b""


def _is_xmp(chunk: Chunk) -> bool:
    return (chunk.kind == b"iTXt" and chunk.keyword == XMP) or bool(_raw_xmp(chunk))


def _xmp(chunks: Sequence[Chunk]) -> bytes | None:
    found = next((chunk for chunk in chunks if _is_xmp(chunk)), None)
    if found is None:
        return None
    return (found.text if found.keyword == XMP else _raw_xmp(found)) or None


def _raw_xmp(chunk: Chunk) -> bytes:
    block = _raw(chunk, b"xmp", b"APP1")
    return (
        block.removeprefix(XMP_MARK) if chunk.keyword == RAW + b"xmp" or block.startswith(XMP_MARK) else b""
    )


def _iptc(chunks: Sequence[Chunk]) -> bytes | None:
    block = next((_raw(chunk, b"iptc") for chunk in chunks if chunk.keyword == IPTC), None)
    return block and (iptc_in(block) or block)


def _raw(chunk: Chunk, *names: bytes) -> bytes:
    """The content of a raw profile with one of these names, behind its length; empty if it is none."""
    if chunk.keyword not in [RAW + name for name in names]:
        return b""
    try:
        return bytes.fromhex(chunk.text.split(b"\n", 3)[3].decode("ascii"))
    except (ValueError, IndexError):
        return b""


def _profile(chunks: Sequence[Chunk]) -> bytes | None:
    packed = body_of(chunks, b"iCCP")
    return None if packed is None else _unpacked(packed.partition(b"\0")[2][1:])


def _dpi(chunks: Sequence[Chunk]) -> tuple[float, float] | None:
    physical = body_of(chunks, b"pHYs")
    if physical is None or len(physical) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", physical)
    return (across * PER_INCH, down * PER_INCH) if unit == 1 else None


def _unpacked(packed: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, icc.LARGEST)
    except zlib.error:
        return None
