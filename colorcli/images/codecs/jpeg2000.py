"""JPEG 2000 (ISO/IEC 15444-1, annex I): encoded without loss at 8 or 16 bits, other boxes kept."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import (
    ALPHA,
    DEPTH,
    EXIF,
    ICC,
    IPTC,
    ORIENTATION,
    XMP,
    Metadata,
    OutputPage,
    Page,
    SinglePageCodec,
    Size,
    read_header,
)
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.metadata import exif
from colorcli.images.raster import Pixels, Raster, stretched

CODESTREAM = b"\xff\x4f\xff\x51"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IMAGE_BOXES = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")
EXIF_UUID = b"JpgTiffExif->JP2"
IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
ENUMERATED, ICC_METHOD, ANY_ICC_METHOD = 1, 2, 3
SRGB, GRAYSCALE = 16, 17
"""Enumerated color spaces."""


@dataclass(frozen=True)
class Box:
    kind: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        return struct.pack(">I4s", len(self.body) + 8, self.kind) + self.body


@dataclass(frozen=True)
class Codestream:
    size: Size
    bits: tuple[int, ...]
    """Bits of a sample, component by component."""
    signed: bool
    subsampled: bool


@dataclass(frozen=True, kw_only=True)
class Jpeg2000Page(Page):
    boxes: tuple[Box, ...]
    """Empty for a bare codestream, which has no metadata."""


class Jpeg2000Codec(SinglePageCodec):
    name = "JPEG 2000"
    holds = frozenset((ALPHA, DEPTH, EXIF, IPTC, XMP, ICC, ORIENTATION))

    def probe(self, source: Path) -> Size:
        return _codestream(read_header(source), source.read_bytes).size

    def decode(self, source: Path, data: bytes) -> Page:
        boxes = () if data[:4] == CODESTREAM else tuple(read_boxes(data))
        stream = _codestream(data)
        _check(source, stream)
        pixels = imagecodecs.jpeg2k_decode(_without_profile(data, boxes))
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        header = next((tuple(read_boxes(box.body)) for box in boxes if box.kind == b"jp2h"), ())
        bits = stream.bits[0]
        palette = next((box.body for box in header if box.kind == b"pclr"), None)
        if palette is not None:
            bits = _palette_bits(palette)
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2] > 4:
            raise InputError(source, f"JPEG 2000 with {pixels.shape[2]} components", "save it as TIFF")
        metadata = Metadata(
            _uuid(boxes, EXIF_UUID), _uuid(boxes, XMP_UUID), _profile(header), iptc=_uuid(boxes, IPTC_UUID)
        )
        raster = Raster.of(_full_depth(pixels, bits))
        others = dict.fromkeys(box.kind.decode("latin-1") for box in boxes if not _is_known(box))
        confined = (f"its boxes ({', '.join(others)})",) if others else ()
        orientation = exif.orientation(metadata.exif)
        return Jpeg2000Page(raster, metadata, orientation, confined=confined, boxes=boxes)

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
        data = page.metadata
        for name, block in ((EXIF_UUID, data.exif), (IPTC_UUID, data.iptc), (XMP_UUID, data.xmp)):
            if block and block != _uuid(boxes, name):
                kept = [box for box in kept if not _has_uuid(box, name)]
                kept.append(Box(b"uuid", name + block))
        old_header = next((box for box in boxes if box.kind == b"jp2h"), None)
        result = []
        for box in read_boxes(encoded):
            if box.kind == b"jp2h":
                result += [_header(box, old_header, page.metadata.icc), *kept]
            else:
                result.append(box)
        return b"".join(box.to_bytes() for box in result)


JPEG2000 = Jpeg2000Codec()


def _header(new: Box, old: Box | None, profile: bytes | None) -> Box:
    """The header of the new image with the resolution of the old one, and a profile if there is one."""
    parts = list(read_boxes(new.body))
    if profile:
        old_parts = tuple(read_boxes(old.body)) if old else ()
        method = ANY_ICC_METHOD if profile == _profile(old_parts, ANY_ICC_METHOD) else ICC_METHOD
        color = Box(b"colr", bytes((method, 0, 0)) + profile)
        parts = [color if part.kind == b"colr" else part for part in parts]
    if old is not None:
        parts += [part for part in read_boxes(old.body) if part.kind == b"res "]
    return Box(b"jp2h", b"".join(part.to_bytes() for part in parts))


def read_boxes(data: bytes, *, truncated: bool = False) -> Iterator[Box]:
    """The boxes of a file or of a box; the last one may be `truncated`."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        end = len(data) if size == 0 else at + size
        if end < at + head or (end > len(data) and not truncated):
            raise DamagedError("truncated")
        yield Box(kind, data[at + head : end])
        at = end


def _codestream(data: bytes, whole: Callable[[], bytes] | None = None) -> Codestream:
    """What the SIZ marker says (ISO/IEC 15444-1, A.5.1); it is looked for in `whole` if not in `data`."""
    at = data.find(CODESTREAM)
    if at < 0:
        if whole is None:
            raise DamagedError("no image inside")
        return _codestream(whole())
    _, _, right, bottom, left, top = struct.unpack_from(">HHIIII", data, at + 4)
    (count,) = struct.unpack_from(">H", data, at + 40)
    parts = [struct.unpack_from(">BBB", data, at + 42 + 3 * index) for index in range(count)]
    if not parts or right <= left or bottom <= top:
        raise DamagedError("an image without size")
    return Codestream(
        Size(bottom - top, right - left),
        bits=tuple((depth & 127) + 1 for depth, _, _ in parts),
        signed=any(depth > 127 for depth, _, _ in parts),
        subsampled=any((across, down) != (1, 1) for _, across, down in parts),
    )


def _check(source: Path, stream: Codestream) -> None:
    """Refuse what is sound but not read."""
    causes = (
        (stream.subsampled, "JPEG 2000 with subsampled components"),
        (stream.signed, "JPEG 2000 with signed samples"),
        (max(stream.bits) > 16, f"JPEG 2000 with samples of {max(stream.bits)} bits"),
        (len(set(stream.bits)) > 1, "JPEG 2000 with components of different depths"),
    )
    for applies, cause in causes:
        if applies:
            raise InputError(source, f"{cause}, which is not read", "save it as 8 or 16 bit TIFF")


def _palette_bits(palette: bytes) -> int:
    """Bits of a palette's entries (ISO/IEC 15444-1, I.5.3.4), which are what OpenJPEG gives."""
    columns = palette[2]
    return max((depth & 127) + 1 for depth in palette[3 : 3 + columns])


def _full_depth(pixels: Pixels, bits: int) -> Pixels:
    """Samples of 9 to 15 bits, or below 8, over the whole range of their type."""
    return stretched(pixels, (1 << bits) - 1) if bits < 8 * pixels.dtype.itemsize else pixels


def _without_profile(data: bytes, boxes: tuple[Box, ...]) -> bytes:
    """The file, of whose profile the decoder shall know nothing: it would convert samples that keep it."""
    header = next((box for box in boxes if box.kind == b"jp2h"), None)
    parts = tuple(read_boxes(header.body)) if header else ()
    if header is None or not _profile(parts):
        return data
    palette = next((part.body for part in parts if part.kind == b"pclr"), None)
    components = palette[2] if palette else len(_codestream(data).bits)
    space = struct.pack(">BBBI", ENUMERATED, 0, 0, SRGB if components > 2 else GRAYSCALE)
    plain = [part for part in parts if part.kind != b"colr"] + [Box(b"colr", space)]
    new = Box(b"jp2h", b"".join(part.to_bytes() for part in plain))
    return b"".join((new if box is header else box).to_bytes() for box in boxes)


def _profile(header: tuple[Box, ...], *methods: int) -> bytes | None:
    allowed = methods or (ICC_METHOD, ANY_ICC_METHOD)
    return next(
        (box.body[3:] for box in header if box.kind == b"colr" and box.body[:1] and box.body[0] in allowed),
        None,
    )


def _is_known(box: Box) -> bool:
    uuids = (EXIF_UUID, XMP_UUID, IPTC_UUID)
    return box.kind in IMAGE_BOXES or any(_has_uuid(box, name) for name in uuids)


def _has_uuid(box: Box, name: bytes) -> bool:
    return box.kind == b"uuid" and box.body.startswith(name)


def _uuid(boxes: tuple[Box, ...], name: bytes) -> bytes | None:
    return next((box.body[len(name) :] for box in boxes if _has_uuid(box, name)), None)
