"""PNG (W3C Recommendation, third edition): the picture is coded anew, every other chunk stays."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import Metadata, Page, Still
from colorcli.images.metadata import icc
from colorcli.images.metadata.exif import orientation
from colorcli.images.metadata.xmp import with_provenance
from colorcli.images.raster import Pixels, Raster
from colorcli.models.card import ModelCard

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
"""Keyword of an `iTXt` chunk: uncompressed, no language."""
GRAY, PALETTE, GRAY_ALPHA = 0, 3, 4
"""Color types that change when color comes in."""
CODED_ANEW = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"hIST"))
BEFORE_PALETTE = frozenset((b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI"))
COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 4, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]
"""Within a tenth of the smallest size at a third of the time."""


@dataclass(frozen=True)
class Chunk:
    kind: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        check = zlib.crc32(self.kind + self.body)
        return struct.pack(">I", len(self.body)) + self.kind + self.body + struct.pack(">I", check)


def read(source: Path, data: bytes) -> Still:
    """Decode a PNG; samples of fewer than 8 bits are widened, palettes and transparent colors resolved.

    Raises:
        InputError: it is damaged, or an animation.
    """
    try:
        chunks = tuple(_chunks(data))
    except (ValueError, struct.error) as error:
        raise InputError(source, f"damaged PNG ({error})", "scan or copy it again") from error
    if any(chunk.kind == b"acTL" for chunk in chunks):
        raise InputError(source, "an animated PNG", "turn it into a film first, or into single pictures")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise InputError(source, "damaged PNG (it cannot be decoded)", "scan or copy it again")
    metadata = Metadata(_body(chunks, b"eXIf"), _xmp(chunks), _profile(chunks))
    page = Page(Raster.of(_channels(decoded, chunks)), metadata, orientation(metadata.exif))
    return Still(page, lambda color, card: encode(color, metadata, card, chunks))


def encode(
    color: Raster, metadata: Metadata, card: ModelCard | None, chunks: tuple[Chunk, ...] = ()
) -> bytes:
    """A PNG of the raster, with the ancillary `chunks` of its source, or `metadata` where there are none."""
    pixels = color.whole()
    order = cv2.COLOR_RGBA2BGRA if color.has_alpha else cv2.COLOR_RGB2BGR
    _, coded = cv2.imencode(".png", cv2.cvtColor(pixels, order), COMPRESSION)
    fresh = [chunk for chunk in _chunks(coded.tobytes()) if chunk.kind in CODED_ANEW]
    kept = _kept(chunks, color) if chunks else _from_metadata(metadata)
    if card is not None:
        packet = Chunk(b"iTXt", XMP + with_provenance(metadata.xmp, card))
        kept = [*(chunk for chunk in kept if not _is_xmp(chunk)), packet]
    early = [chunk for chunk in kept if chunk.kind in BEFORE_PALETTE]
    late = [chunk for chunk in kept if chunk.kind not in BEFORE_PALETTE]
    parts = [fresh[0], *early, *late, *fresh[1:]]
    return SIGNATURE + b"".join(chunk.to_bytes() for chunk in parts)


def _chunks(data: bytes) -> Iterator[Chunk]:
    """All chunks up to IEND; raises ValueError where one is missing, cut off or damaged."""
    if data[:8] != SIGNATURE:
        raise ValueError("not a PNG")
    at = 8
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        (check,) = struct.unpack_from(">I", data, at + 8 + size)
        if check != zlib.crc32(kind + body):
            raise ValueError(f"checksum of {kind.decode('latin-1')} does not match")
        yield Chunk(kind, body)
        if kind == b"IEND":
            return
        at += 12 + size


def _channels(decoded: Pixels, chunks: tuple[Chunk, ...]) -> Pixels:
    """OpenCV's array as gray, gray and alpha, RGB, or RGBA."""
    color_type = chunks[0].body[9]
    if color_type == GRAY:
        gray = decoded if decoded.ndim == 2 else decoded[:, :, 0]
        transparent = _body(chunks, b"tRNS")
        if transparent is None:
            return gray[:, :, None]
        alpha = _key_alpha(gray, int.from_bytes(transparent[:2], "big"), chunks[0].body[8])
        return np.stack([gray, alpha], axis=2)
    if color_type == GRAY_ALPHA:
        return np.ascontiguousarray(decoded[:, :, [0, -1]])
    if decoded.ndim == 2:  # a palette of grays may come as gray
        return decoded[:, :, None]
    return cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _key_alpha(gray: Pixels, key: int, bits: int) -> Pixels:
    """Alpha of a gray picture in which one value is transparent; samples below 8 bits have been widened."""
    value = key * 255 // ((1 << bits) - 1) if bits < 8 else key
    return np.where(gray == value, 0, np.iinfo(gray.dtype).max).astype(gray.dtype)


def _kept(chunks: tuple[Chunk, ...], color: Raster) -> list[Chunk]:
    """Ancillary chunks that hold for the colored picture, those about its samples made to fit."""
    head = chunks[0].body
    gray = head[9] in (GRAY, GRAY_ALPHA)
    result = []
    for chunk in chunks:
        if chunk.kind in CODED_ANEW:
            continue
        if chunk.kind == b"sBIT" and gray:
            gray_bits, alpha_bits = chunk.body[:1], chunk.body[1:] or bytes((color.depth,))
            chunk = Chunk(b"sBIT", gray_bits * 3 + alpha_bits * color.has_alpha)
        elif chunk.kind == b"bKGD" and gray:
            chunk = Chunk(b"bKGD", chunk.body * 3)
        elif chunk.kind == b"iCCP" and gray:
            result += _profile_chunks(_inflated(chunk))
            continue
        elif chunk.kind in (b"sBIT", b"bKGD") and head[9] == PALETTE:
            continue
        elif chunk.kind[3:4].isupper() and chunk.kind not in BEFORE_PALETTE | {b"bKGD", b"sPLT"}:
            continue  # unsafe to copy, says its name, once the picture data changes
        result.append(chunk)
    return result


def _from_metadata(metadata: Metadata) -> list[Chunk]:
    result = _profile_chunks(metadata.icc)
    if metadata.dpi:
        across, down = (round(dpi / 0.0254) for dpi in metadata.dpi)
        result.append(Chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        result.append(Chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        result.append(Chunk(b"iTXt", XMP + metadata.xmp))
    return result


def _profile_chunks(profile: bytes | None) -> list[Chunk]:
    suited = icc.for_rgb(profile)
    return [Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(suited))] if suited else []


def _profile(chunks: tuple[Chunk, ...]) -> bytes | None:
    for chunk in chunks:
        if chunk.kind == b"iCCP":
            return _inflated(chunk)
    return None


def _inflated(chunk: Chunk) -> bytes | None:
    _, _, packed = chunk.body.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], icc.LARGEST)
    except zlib.error:
        return None


def _is_xmp(chunk: Chunk) -> bool:
    return chunk.kind == b"iTXt" and chunk.body.startswith(XMP)


def _xmp(chunks: tuple[Chunk, ...]) -> bytes | None:
    return next((chunk.body[len(XMP) :] for chunk in chunks if _is_xmp(chunk)), None)


def _body(chunks: tuple[Chunk, ...], kind: bytes) -> bytes | None:
    return next((chunk.body for chunk in chunks if chunk.kind == kind), None)
