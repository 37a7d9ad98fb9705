"""JPEG 2000 (ISO/IEC 15444-1, annex I): coded anew without loss at 8 or 16 bits, other boxes kept."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import Metadata, Page, Still
from colorcli.images.metadata import icc
from colorcli.images.metadata.xmp import with_provenance
from colorcli.images.raster import Pixels, Raster
from colorcli.models.card import ModelCard

CODESTREAM = b"\xff\x4f\xff\x51"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
CODED_ANEW = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")
ICC_METHOD = 2


@dataclass(frozen=True)
class Box:
    kind: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        return struct.pack(">I4s", len(self.body) + 8, self.kind) + self.body


def read(source: Path, data: bytes) -> Still:
    """Raises InputError where it is damaged or has samples of more than 16 bits."""
    try:
        boxes = () if data[:4] == CODESTREAM else tuple(_boxes(data))
        pixels = imagecodecs.jpeg2k_decode(data)
    except (imagecodecs.Jpeg2kError, ValueError, struct.error) as error:
        raise InputError(source, f"damaged JPEG 2000 ({error})", "scan or copy it again") from error
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2] > 4:
        raise InputError(source, f"JPEG 2000 with samples of type {pixels.dtype}", "save it as 16 bit TIFF")
    header = next((tuple(_boxes(box.body)) for box in boxes if box.kind == b"jp2h"), ())
    metadata = Metadata(None, _xmp(boxes), _profile(header))
    page = Page(Raster.of(_full_depth(pixels, header)), metadata)
    return Still(page, lambda color, card: encode(color, metadata, card, boxes, bare=not boxes))


def encode(
    color: Raster,
    metadata: Metadata,
    card: ModelCard | None,
    boxes: tuple[Box, ...] = (),
    *,
    bare: bool = False,
) -> bytes:
    """The raster without loss; `bare` for a codestream that has no boxes and so no metadata."""
    pixels = color.whole()
    if bare:
        return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True))
    fresh = list(
        _boxes(bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True)))
    )
    old_header = next((box for box in boxes if box.kind == b"jp2h"), None)
    kept = [box for box in boxes if box.kind not in CODED_ANEW]
    if card is not None:
        kept = [box for box in kept if not _is_xmp(box)]
        kept.append(Box(b"uuid", XMP_UUID + with_provenance(metadata.xmp, card)))
    elif metadata.xmp and not boxes:
        kept.append(Box(b"uuid", XMP_UUID + metadata.xmp))
    result = []
    for box in fresh:
        if box.kind == b"jp2h":
            result += [_header(box, old_header, icc.for_rgb(metadata.icc)), *kept]
        else:
            result.append(box)
    return b"".join(box.to_bytes() for box in result)


def _header(fresh: Box, old: Box | None, profile: bytes | None) -> Box:
    """The new picture's header with the old one's resolution, and a profile where there is one."""
    parts = list(_boxes(fresh.body))
    if profile:
        described = Box(b"colr", bytes((ICC_METHOD, 0, 0)) + profile)
        parts = [described if part.kind == b"colr" else part for part in parts]
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
            raise ValueError("truncated")
        yield Box(kind, data[at + head : end])
        at = end


def _full_depth(pixels: Pixels, header: tuple[Box, ...]) -> Pixels:
    """Samples of 9 to 15 bits, or below 8, stretched over their type's whole range."""
    bits = next((box.body[10] + 1 for box in header if box.kind == b"ihdr" and box.body[10] < 128), 0)
    full = 8 * pixels.dtype.itemsize
    if not 0 < bits < full:
        return pixels
    return (pixels.astype(np.uint32) * ((1 << full) - 1) // ((1 << bits) - 1)).astype(pixels.dtype)


def _profile(header: tuple[Box, ...]) -> bytes | None:
    return next(
        (b.body[3:] for b in header if b.kind == b"colr" and b.body[:1] == bytes((ICC_METHOD,))), None
    )


def _is_xmp(box: Box) -> bool:
    return box.kind == b"uuid" and box.body.startswith(XMP_UUID)


def _xmp(boxes: tuple[Box, ...]) -> bytes | None:
    return next((box.body[len(XMP_UUID) :] for box in boxes if _is_xmp(box)), None)
