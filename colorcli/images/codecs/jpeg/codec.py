"""JPEG, colorized without changing its luma: a gray file's luma scans are copied byte for byte, a color
file's quantized luma coefficients without loss.

A JPEG may have each component in a scan of its own (T.81, B.2.3). So the scan of a gray file is kept,
entropy-coded bits and all, the frame header gets two more components, and their scans are appended. If luma
and chroma are interleaved, luma's quantized coefficients are first copied into a scan of their own, without
loss (luma.py). Only files that hold no luma at all (RGB, CMYK) are encoded again.

    decode: bytes -> segments -> the scans and the samples of luma, and the chroma that the file has
    encode: new chroma planes, fitted to the luma (chroma.py) -> two gray JPEGs -> one JPEG with luma's scans
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
from PIL import Image

from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.errors import InputError
from colorcli.images.codecs.base import (
    EXIF,
    ICC,
    IPTC,
    ORIENTATION,
    XMP,
    OutputPage,
    Page,
    SinglePageCodec,
    Size,
    read_header,
)
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.jpeg import header, multi_picture, turbojpeg
from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg.chroma import CLIPPED, chroma_planes, chroma_steps
from colorcli.images.codecs.jpeg.chroma_fitter import Sampling
from colorcli.images.codecs.jpeg.luma import can_extract, encode_exactly, extract_luma
from colorcli.images.codecs.jpeg.plane import GRAY, PEAK, Bytes, decoded_gray
from colorcli.images.codecs.jpeg.repair import NO_LAST_SCANS, has_all_scans, repaired, salvaged
from colorcli.images.codecs.jpeg.segments import Component, Frame, Segment
from colorcli.images.metadata import exif, icc
from colorcli.images.raster import Raster, band_luma, reduced_plane

FULL_CHROMA_PIXELS = 4_000_000
"""Up to this size chroma is stored at full size; above, at half of it if the source allows it, as cameras do:
the network works at a few hundred pixels, so that nothing is lost, and files and time are saved."""
NEUTRAL = 2
"""A source whose chroma is no farther from gray than this is neutral: clipping cannot move its gray by 1."""
DETECTION_REDUCTION = 8
"""Color is detected in chroma at this fraction of its size."""
SEQUENTIAL_OR_PROGRESSIVE = (0xC0, 0xC1, seg.PROGRESSIVE)
LOSSLESS, JPEG_LS, HIERARCHICAL = (0xC3, 0xCB), 0xF7, (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
LARGEST_BLOCK = 64_000
"""Bytes of Exif or XMP that fit into a segment, with room for the name of the model."""
FURTHER = "what follows the image in its file, as further images"
ENCODED_AGAIN = "luma is encoded again, within one code value: libturbojpeg 3 is not installed"
COMPONENTS = (1, 2, 3)
"""Component numbers of Y, Cb and Cr in JFIF."""


@dataclass(frozen=True, kw_only=True)
class JpegPage(Page):
    """A JPEG separated into the luma that stays and the chroma that is replaced."""

    head: tuple[Segment, ...]
    """Application segments and comments, in their order."""
    scans: tuple[Segment, ...]
    """A gray JPEG of the luma: tables, frame and scans."""
    pixels: Bytes
    """Luma [H, W], as `scans` decode."""
    chroma: Plane | None = None
    """The source's own chroma [2, h, w], reduced; None if it has none."""
    trailer: bytes = b""
    """What follows the picture in the file."""
    directory: int = 0
    """Bytes from the header of its multi-picture index, if it has one, to the trailer."""
    sampling: Sampling
    """How chroma is to be stored: never coarser than in the source, if that had any."""
    spare: float = CLIPPED
    """Code values of gray that clipping may take; none if luma itself had to be encoded again."""
    toning: Bytes | None = None
    """The source's chroma [2, h, w]; kept where it makes decoders clip, or gray would visibly change."""

    @property
    def luma(self) -> Raster:
        return Raster.of(self.pixels[:, :, None])

    def reduced(self, height: int, width: int) -> tuple[Plane, Plane | None]:
        return reduced_plane(self.pixels, height, width), self.chroma


class JpegCodec(SinglePageCodec):
    name = "JPEG"
    holds = frozenset((EXIF, IPTC, XMP, ICC, ORIENTATION))

    def lost(self, page: Page) -> frozenset[str]:
        """Metadata of a JPEG fits into segments already; metadata of another format may be too large."""
        if isinstance(page, JpegPage):
            return super().lost(page)
        blocks = ((EXIF, page.metadata.exif), (XMP, page.metadata.xmp))
        return super().lost(page) | {name for name, block in blocks if len(block or b"") > LARGEST_BLOCK}

    def probe(self, source: Path) -> Size:
        try:
            frame = seg.frame_in(read_header(source))
        except DamagedError:  # profiles, previews and comments may come first
            frame = seg.frame_in(source.read_bytes())
        return Size(frame.height, frame.width)

    def __init__(self, *, salvage: bool = False):
        """`salvage`: of damaged files what can be read is read."""
        self._salvage = salvage

    @property
    def salvaging(self) -> "JpegCodec":
        return self if self._salvage else JpegCodec(salvage=True)

    def decode(self, source: Path, data: bytes) -> JpegPage:
        try:
            return self._decode_sound(source, data)
        except DamagedError:
            if not self._salvage:
                raise
        data, note = salvaged(data)
        page = self._decode_sound(source, data)
        comment = Segment(seg.COM, f"colorcli: {note}".encode())
        return replace(page, head=(*page.head, comment), notes=(note, *page.notes))

    def _decode_sound(self, source: Path, data: bytes) -> JpegPage:
        notes: tuple[str, ...] = ()
        try:
            segments, trailer = seg.parse(data)
        except DamagedError:
            _check(source, seg.frame_in(data))
            data, notes = repaired(data)
            segments, trailer = seg.parse(data)
        frame = seg.frame_of(segments)
        _check(source, frame)
        _coarsest_table(segments)  # raises DamagedError if there is none
        if not has_all_scans(segments):
            notes = (*notes, NO_LAST_SCANS)
        head = tuple(segment for segment in segments if segment.is_metadata)
        is_gray = len(frame.components) == 1 and frame.marker in SEQUENTIAL_OR_PROGRESSIVE
        if is_gray and frame.depth == 8:
            scans = tuple(segment for segment in segments if not segment.is_metadata)
            sampling = _stored_sampling(Sampling(2, 2), frame)
            page = _page(data, head, decoded_gray(data), scans=scans, sampling=sampling)
        elif _holds_luma(frame, head) and can_extract():
            page = _decode_interleaved(data, head, frame)
        else:
            notes = (*notes, ENCODED_AGAIN) if _holds_luma(frame, head) else notes
            page = _decode_without_luma(data, head)
        directory = multi_picture.find(data, len(trailer))
        confined = tuple(header.confined(head)) + (FURTHER,) * bool(trailer.strip(b"\0"))
        return replace(page, trailer=trailer, notes=notes, confined=confined, directory=directory)

    def encode(self, page: OutputPage) -> bytes:
        """A page of a JPEG keeps its luma scans; one of another format gets scans that decode as exactly."""
        if page.chroma is None:
            return _encode_color(page)
        source = page.page if isinstance(page.page, JpegPage) else _from_other_format(page.page)
        if page.chroma.own is not None and source.toning is None:
            source = replace(source, toning=_own_chroma(page.page))
        steps = chroma_steps(_coarsest_table(source.scans), source.sampling, page.chroma.strength * PEAK)
        planes = chroma_planes(
            source.pixels, page.chroma, source.sampling, steps, source.spare, source.toning
        )
        frame = seg.frame_of(source.scans)
        cb, cr = (seg.parse(data)[0] for data in planes.encode(frame.marker == seg.PROGRESSIVE))
        head = header.with_metadata(source.head, page.metadata)
        result = seg.join(_splice(head, source.scans, frame, source.sampling, (cb, cr)))
        return multi_picture.moved(result, source.directory, len(source.trailer)) + source.trailer


JPEG = JpegCodec()


def _check(source: Path, frame: Frame) -> None:
    """Refuse what is sound but not read."""
    cause = None
    if frame.marker in LOSSLESS:
        cause = "a lossless JPEG"
    elif frame.marker == JPEG_LS:
        cause = "a JPEG-LS"
    elif frame.marker in HIERARCHICAL:
        cause = "a hierarchical JPEG"
    elif frame.depth != 8:
        cause = f"a JPEG of {frame.depth} bits"
    if cause:
        raise InputError(source, f"{cause}, which is not read", "save it as 16 bit TIFF, or as a usual JPEG")


def _page(data: bytes, head: tuple[Segment, ...], pixels: Bytes, **parts: Any) -> JpegPage:
    """A page of the file `data`; `parts` are further fields."""
    height, width = pixels.shape
    metadata = header.metadata_of(head)
    # Only pages that keep their own color and change their format are decoded to RGB.
    raster = Raster(height, width, 3, 8, lambda: _decoded_rgb(data).bands())
    orientation = exif.orientation(metadata.exif)
    return JpegPage(raster, metadata, orientation, head=head, pixels=pixels, **parts)


def _decode_interleaved(data: bytes, head: tuple[Segment, ...], frame: Frame) -> JpegPage:
    """Luma's coefficients are copied into a scan of their own."""
    sampling = _stored_sampling(_sampling(frame), frame)
    luma = extract_luma(data, frame)
    scans = tuple(segment for segment in seg.parse(luma.data)[0] if not segment.is_metadata)
    if luma.neutral:
        return _page(data, head, decoded_gray(luma.data), scans=scans, sampling=sampling)
    planes = turbojpeg.decoded_planes(data, *sampling)
    if planes is None:  # only full-size chroma can be had, so that is how it has to be stored
        planes, sampling = _decoded_planes(data), Sampling(1, 1)
    pixels, *own = planes
    if all(plane.min() >= GRAY - NEUTRAL and plane.max() <= GRAY + NEUTRAL for plane in own):
        return _page(data, head, pixels, scans=scans, sampling=sampling)
    height, width = (-(-length // DETECTION_REDUCTION) for length in pixels.shape)
    chroma = np.stack([reduced_plane(plane, height, width) for plane in own]) - np.float32(GRAY / 255)
    toning = np.stack(own)
    return _page(data, head, pixels, scans=scans, sampling=sampling, chroma=chroma, toning=toning)


def _decode_without_luma(data: bytes, head: tuple[Segment, ...]) -> JpegPage:
    """RGB or CMYK: luma is computed, and encoded so finely that it decodes to within a code value."""
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    kept = [segment for segment in head if not header.is_adobe(segment)]
    if image.mode == "CMYK":
        rgb = icc.rgb_from_cmyk(np.asarray(image), seg.icc_of(head))
        kept = [segment for segment in kept if not seg.is_icc(segment)]
        kept += seg.icc_segments(icc.srgb_profile())
    else:
        rgb = np.asarray(image.convert("RGB"))
    luma, chroma = ycbcr_from_rgb(rgb.transpose(2, 0, 1).astype(np.float32) / 255)
    scans, pixels = encode_exactly(np.rint(luma * np.float32(255)).astype(np.uint8))
    page = _page(data, tuple(kept), pixels, scans=scans, sampling=Sampling(1, 1), chroma=chroma, spare=0)
    return replace(page, raster=Raster.of(rgb))


def _from_other_format(page: Page) -> JpegPage:
    """The luma of a page as a JPEG that has no chroma yet; alpha is dropped."""
    raster = page.luma
    luma = np.concatenate([band_luma(band) for band in raster.bands()])
    scans, pixels = encode_exactly(np.rint(luma * np.float32(255 / raster.peak)).astype(np.uint8))
    head = (header.jfif(page.metadata.dpi), *header.iptc_segments(page.metadata.iptc))
    return JpegPage(raster=raster, head=head, scans=scans, pixels=pixels, sampling=Sampling(1, 1), spare=0)


def _own_chroma(page: Page) -> Bytes | None:
    """Cb and Cr [2, H, W] of a page of another format; None if it is gray."""
    raster = page.raster.without_alpha().at_8_bits()
    if raster.channels < 3:
        return None
    _, chroma = ycbcr_from_rgb(raster.array().transpose(2, 0, 1).astype(np.float32))
    return np.clip(np.rint(chroma + GRAY), 0, PEAK).astype(np.uint8)


def _encode_color(page: OutputPage) -> bytes:
    """A page that keeps its own color, as a JPEG of high quality."""
    target = io.BytesIO()
    pixels = page.raster.without_alpha().at_8_bits().array()
    Image.fromarray(pixels).save(target, "JPEG", quality=95, subsampling=0)
    start, jfif, *rest = seg.parse(target.getvalue())[0]
    head = header.with_metadata(header.iptc_segments(page.metadata.iptc), page.metadata)
    return seg.join([start, jfif, *head, *rest])


def _splice(
    head: Sequence[Segment],
    luma: Sequence[Segment],
    frame: Frame,
    sampling: Sampling,
    chroma: tuple[list[Segment], list[Segment]],
) -> list[Segment]:
    """One JPEG of three gray ones."""
    free = next(number for number in (1, 2, 3, 0) if number != frame.components[0].table)
    components = (
        Component(COMPONENTS[0], sampling.across, sampling.down, frame.components[0].table),
        *(Component(number, 1, 1, free) for number in COMPONENTS[1:]),
    )
    result = [Segment(seg.SOI), *head]
    for segment in luma:
        if segment.marker in seg.FRAMES:
            result += [_table_segment(chroma[0], free), replace(frame, components=components).segment()]
        elif segment.marker == seg.SOS:
            result.append(_for_component(segment, COMPONENTS[0]))
        elif segment.marker not in (seg.SOI, seg.EOI):
            result.append(segment)
    if any(segment.marker == seg.DRI for segment in luma):
        result.append(Segment(seg.DRI, b"\0\0"))
    for number, plane in zip(COMPONENTS[1:], chroma, strict=True):
        for segment in plane:
            if segment.marker == seg.SOS:
                result.append(_for_component(segment, number))
            elif segment.marker == seg.DHT:
                result.append(segment)
    return [*result, Segment(seg.EOI)]


def _for_component(scan: Segment, number: int) -> Segment:
    """A scan of one component, assigned to another one."""
    return replace(scan, payload=scan.payload[:1] + bytes((number,)) + scan.payload[2:])


def _table_segment(plane: Sequence[Segment], number: int) -> Segment:
    (table,) = (segment for segment in plane if segment.marker == seg.DQT)
    return replace(table, payload=bytes((number,)) + table.payload[1:])


def _coarsest_table(segments: Sequence[Segment]) -> list[int]:
    tables = seg.quantization_tables(segments)
    if not tables:
        raise DamagedError("no quantization table")
    return [max(steps) for steps in zip(*tables.values(), strict=True)]


def _holds_luma(frame: Frame, head: Sequence[Segment]) -> bool:
    """Whether the first component is luma at the picture's own size."""
    if len(frame.components) not in (1, 3) or frame.depth != 8 or _holds_rgb(frame, head):
        return False
    first = frame.components[0]
    return all(
        part.horizontal <= first.horizontal and part.vertical <= first.vertical for part in frame.components
    )


def _holds_rgb(frame: Frame, head: Sequence[Segment]) -> bool:
    """Whether three components are RGB rather than Y'CbCr, by libjpeg's rules."""
    if len(frame.components) != 3:
        return False
    if any(segment.marker == seg.APP0 and segment.payload.startswith(b"JFIF") for segment in head):
        return False
    for segment in head:
        if header.is_adobe(segment):
            return segment.payload[11] == 0
    return tuple(part.identifier for part in frame.components) == (ord("R"), ord("G"), ord("B"))


def _stored_sampling(coarsest: Sampling, frame: Frame) -> Sampling:
    return coarsest if frame.height * frame.width > FULL_CHROMA_PIXELS else Sampling(1, 1)


def _sampling(frame: Frame) -> Sampling:
    """The source's chroma sampling, at most two samples across and down."""
    if len(frame.components) < 3:
        return Sampling(2, 2)
    luma, cb, cr = frame.components
    across = luma.horizontal // max(cb.horizontal, cr.horizontal, 1)
    down = luma.vertical // max(cb.vertical, cr.vertical, 1)
    return Sampling(min(2, max(1, across)), min(2, max(1, down)))


def _decoded_planes(data: bytes) -> list[Bytes]:
    """Y, Cb and Cr [H, W] each, as libjpeg decodes them."""
    return list(cv2.split(imagecodecs.jpeg8_decode(data, outcolorspace="YCBCR")))


def _decoded_rgb(data: bytes) -> Raster:
    """The picture in the color it has; raises DamagedError if it cannot be decoded."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise DamagedError("it cannot be decoded")
    return Raster.of(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
