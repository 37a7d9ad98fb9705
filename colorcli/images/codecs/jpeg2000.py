"""JPEG 2000 (ISO/IEC 15444-1, annex I): encoded without loss at 8 or 16 bits, other boxes kept."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import Metadata, OutputPage, Page, SinglePageCodec, Size, read_header
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.raster import Pixels, Raster, stretched

CODESTREAM = b"\xff\x4f\xff\x51"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IMAGE_BOXES = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")
ICC_METHOD = 2


@dataclass(frozen=True)
class Box:
    kind: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        return struct.pack(">I4s", len(self.body) + 8, self.kind) + self.body


@dataclass(frozen=True, kw_only=True)
class Jpeg2000Page(Page):
    boxes: tuple[Box, ...]
    """Empty for a bare codestream, which has no metadata."""


class Jpeg2000Codec(SinglePageCodec):
    name = "JPEG 2000"

    def probe(self, source: Path) -> Size:
        head = read_header(source)
        at = head.index(CODESTREAM)
        _, _, right, bottom, left, top = struct.unpack_from(">HHIIII", head, at + 4)
        return Size(bottom - top, right - left)

    def decode(self, source: Path, data: bytes) -> Page:
        boxes = () if data[:4] == CODESTREAM else tuple(_boxes(data))
        pixels = imagecodecs.jpeg2k_decode(data)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2] > 4:
            cause = f"JPEG 2000 with samples of type {pixels.dtype}"
            raise InputError(source, cause, "save it as 16 bit TIFF")
        header = next((tuple(_boxes(box.body)) for box in boxes if box.kind == b"jp2h"), ())
        metadata = Metadata(None, _xmp(boxes), _profile(header))
        return Jpeg2000Page(Raster.of(_full_depth(pixels, header)), metadata, boxes=boxes)

    def encode(self, page: OutputPage) -> bytes:
        pixels = page.raster.array()
        boxes = page.page.boxes if isinstance(page.page, Jpeg2000Page) else None
        container = "j2k" if boxes == () else "jp2"
        encoded = bytes(
            imagecodecs.jpeg2k_encode(pixels, level=0, codecformat=container, reversible=True)
        )  # fmt: skip
        if boxes == ():
            return encoded
        boxes = boxes or ()
        kept = [box for box in boxes if box.kind not in IMAGE_BOXES]
        if page.metadata.xmp and page.metadata.xmp != _xmp(boxes):
            kept = [box for box in kept if not _is_xmp(box)]
            kept.append(Box(b"uuid", XMP_UUID + page.metadata.xmp))
        old_header = next((box for box in boxes if box.kind == b"jp2h"), None)
        result = []
        for box in _boxes(encoded):
            if box.kind == b"jp2h":
                result += [_header(box, old_header, page.metadata.icc), *kept]
            else:
                result.append(box)
        return b"".join(box.to_bytes() for box in result)


JPEG2000 = Jpeg2000Codec()


def _header(new: Box, old: Box | None, profile: bytes | None) -> Box:
    """The header of the new image with the resolution of the old one, and a profile if there is one."""
    parts = list(_boxes(new.body))
    if profile:
        color = Box(b"colr", bytes((ICC_METHOD, 0, 0)) + profile)
        parts = [color if part.kind == b"colr" else part for part in parts]
    if old is not None:
        parts += [part for part in _boxes(old.body) if part.kind == b"res "]
    return Box(b"jp2h", b"".join(part.to_bytes() for part in parts))


def _boxes(data: bytes) -> Iterator[Box]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        end = len(data) if size == 0 else at + size
        if end > len(data) or end < at + head:
            raise DamagedError("truncated")
        yield Box(kind, data[at + head : end])
        at = end


def _full_depth(pixels: Pixels, header: tuple[Box, ...]) -> Pixels:
    """Samples of 9 to 15 bits, or below 8, over the whole range of their type."""
    bits = next((box.body[10] + 1 for box in header if box.kind == b"ihdr" and box.body[10] < 128), 0)
    return stretched(pixels, (1 << bits) - 1) if 0 < bits < 8 * pixels.dtype.itemsize else pixels


def _profile(header: tuple[Box, ...]) -> bytes | None:
    return next(
        (box.body[3:] for box in header if box.kind == b"colr" and box.body[:1] == bytes((ICC_METHOD,))), None
    )


def _is_xmp(box: Box) -> bool:
    return box.kind == b"uuid" and box.body.startswith(XMP_UUID)


def _xmp(boxes: tuple[Box, ...]) -> bytes | None:
    return next((box.body[len(XMP_UUID) :] for box in boxes if _is_xmp(box)), None)
