"""PNG (W3C Recommendation, third edition): the image is encoded again, every other chunk is kept."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import OutputPage, Page, SinglePageCodec, Size, read_header
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.png_metadata import Chunk, body_of, metadata_of, other_texts, with_metadata
from colorcli.images.metadata import exif
from colorcli.images.raster import Pixels, Raster

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, PALETTE, GRAY_ALPHA = 0, 3, 4
"""Color types that colorizing changes."""
IMAGE_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"hIST"))
BEFORE_PALETTE = frozenset((b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI"))
STILL_TRUE = frozenset((b"bKGD", b"sPLT", b"sCAL", b"sTER"))
"""Chunks that hold for the colors, too, although their names say that they are unsafe to copy."""
HEADER_SIZE = 13
ROOM = 1 << 20
"""Bytes that are decompressed at once."""
COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 4, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]
"""Within a tenth of the smallest size at a third of the time."""


@dataclass(frozen=True, kw_only=True)
class PngPage(Page):
    chunks: tuple[Chunk, ...]


class PngCodec(SinglePageCodec):
    name = "PNG"
    holds = frozenset(("alpha", "16 bits", "Exif", "IPTC", "XMP", "the color profile", "the orientation"))

    def probe(self, source: Path) -> Size:
        width, height = struct.unpack_from(">II", read_header(source), 16)
        return Size(height, width)

    def decode(self, source: Path, data: bytes) -> Page:
        """Samples of fewer than 8 bits are widened, palettes and transparent colors resolved."""
        chunks, notes = read_chunks(data)
        if notes:
            data = SIGNATURE + b"".join(chunk.to_bytes() for chunk in chunks)
        if any(chunk.kind == b"acTL" and chunk.body[:4] != b"\0\0\0\1" for chunk in chunks):
            remedy = "make a film of it: ffmpeg -i IN.png -c:v ffv1 OUT.mkv"
            raise InputError(source, "an animated PNG", remedy)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None:
            raise DamagedError("it cannot be decoded")
        metadata = metadata_of(chunks)
        raster = Raster.of(_channels(decoded, chunks))
        texts = ", ".join(dict.fromkeys(other_texts(chunks)))
        confined = (f"its texts ({texts})",) * bool(texts)
        confined += ("its color description (cICP)",) * any(chunk.kind == b"cICP" for chunk in chunks)
        orientation = exif.orientation(metadata.exif)
        return PngPage(raster, metadata, orientation, notes, confined=confined, chunks=chunks)

    def encode(self, page: OutputPage) -> bytes:
        order = cv2.COLOR_RGBA2BGRA if page.raster.has_alpha else cv2.COLOR_RGB2BGR
        _, encoded = cv2.imencode(".png", cv2.cvtColor(page.raster.array(), order), COMPRESSION)
        image = [chunk for chunk in read_chunks(encoded.tobytes())[0] if chunk.kind in IMAGE_CHUNKS]
        kept = _kept(page.page.chunks, page.raster) if isinstance(page.page, PngPage) else []
        kept = with_metadata(kept, page.metadata)
        early = [chunk for chunk in kept if chunk.kind in BEFORE_PALETTE]
        late = [chunk for chunk in kept if chunk.kind not in BEFORE_PALETTE]
        return SIGNATURE + b"".join(chunk.to_bytes() for chunk in (image[0], *early, *late, *image[1:]))


PNG = PngCodec()


def read_chunks(data: bytes) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
    """All chunks up to IEND that are not damaged, and what was wrong with the others.

    Raises:
        DamagedError: a chunk that the image needs is missing, truncated or damaged.
    """
    if data[:8] != SIGNATURE:
        raise DamagedError("not a PNG")
    chunks: list[Chunk] = []
    notes: list[str] = []
    at = 8
    while not chunks or chunks[-1].kind != b"IEND":
        size, kind = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\0"))
        body, check = data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        name = kind.decode("latin-1")
        if len(check) < 4 or not kind.isalpha():  # as where a file is filled up with zeros
            if not _is_complete(chunks):
                raise DamagedError("truncated" if len(check) < 4 else "checksum of a chunk does not match")
            notes.append("its last chunk, IEND, is missing: added")
            chunks.append(Chunk(b"IEND", b""))
        elif int.from_bytes(check, "big") == zlib.crc32(kind + body):
            chunks.append(Chunk(kind, body))
        elif kind[:1].islower():  # ancillary
            notes.append(f"a damaged {name} chunk is left out")
        elif kind == b"IEND":
            chunks.append(Chunk(kind, b""))
        else:
            raise DamagedError(f"checksum of {name} does not match")
        at += 12 + size
    if chunks[0].kind != b"IHDR" or len(chunks[0].body) != HEADER_SIZE:
        raise DamagedError("no header")
    return tuple(chunks), tuple(notes)


def _is_complete(chunks: list[Chunk]) -> bool:
    """Whether the compressed pixels come to their end."""
    inflate = zlib.decompressobj()
    try:
        for chunk in chunks:
            if chunk.kind == b"IDAT":
                piece = chunk.body
                while piece and not inflate.eof:
                    inflate.decompress(piece, ROOM)
                    piece = inflate.unconsumed_tail
    except zlib.error:
        return False
    return inflate.eof


def _channels(decoded: Pixels, chunks: tuple[Chunk, ...]) -> Pixels:
    """OpenCV's array as gray, gray and alpha, RGB, or RGBA."""
    color_type = chunks[0].body[9]
    if color_type == GRAY:
        gray = decoded if decoded.ndim == 2 else decoded[:, :, 0]
        transparent = body_of(chunks, b"tRNS")
        if transparent is None:
            return gray[:, :, None]
        alpha = _key_alpha(gray, int.from_bytes(transparent[:2], "big"), chunks[0].body[8])
        return np.stack([gray, alpha], axis=2)
    if color_type == GRAY_ALPHA:
        return np.ascontiguousarray(decoded[:, :, [0, -1]])
    if decoded.ndim == 2:  # a palette of grays may be decoded as gray
        return decoded[:, :, None]
    return cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _key_alpha(gray: Pixels, key: int, bits: int) -> Pixels:
    """Alpha of a gray image in which one value is transparent; samples below 8 bits have been widened.

    Of the key only its lowest `bits` count.
    """
    peak = (1 << bits) - 1
    value = (key & peak) * np.iinfo(gray.dtype).max // peak
    return np.where(gray == value, 0, np.iinfo(gray.dtype).max).astype(gray.dtype)


def _kept(chunks: tuple[Chunk, ...], color: Raster) -> list[Chunk]:
    """Ancillary chunks that are valid for the colorized image, those about its samples adapted."""
    header = chunks[0].body
    gray = header[9] in (GRAY, GRAY_ALPHA)
    result = []
    for chunk in chunks:
        if chunk.kind in IMAGE_CHUNKS:
            continue
        if chunk.kind == b"sBIT" and gray:
            gray_bits, alpha_bits = chunk.body[:1], chunk.body[1:] or bytes((color.depth,))
            chunk = Chunk(b"sBIT", gray_bits * 3 + alpha_bits * color.has_alpha)
        elif chunk.kind == b"bKGD" and gray:
            chunk = Chunk(b"bKGD", chunk.body * 3)
        elif chunk.kind in (b"sBIT", b"bKGD") and header[9] == PALETTE:
            continue
        elif chunk.kind[3:4].isupper() and chunk.kind not in BEFORE_PALETTE | STILL_TRUE:
            continue  # its name says that it is unsafe to copy once the image data changes
        result.append(chunk)
    return result
