"""JPEG in, JPEG out: the luma scan of the source stands in the output byte for byte, beside new chroma.

A JPEG may carry each component in a scan of its own (T.81, B.2.3). So a gray file's scan is kept as it is,
entropy-coded bits and all, the frame header is given two more components, and their scans are added behind.
Where luma and chroma are interleaved, luma's quantized coefficients are first written into a scan of their
own, without loss. Only files that hold no luma at all (RGB, CMYK) are encoded anew.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from PIL import Image

from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.errors import InputError
from colorcli.images.chroma import ChromaFit
from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg import turbojpeg as jpeg_turbo
from colorcli.images.codecs.jpeg.chroma import (
    CLIPPED,
    COARSEST,
    GRAY,
    Bytes,
    Sampling,
    Toning,
    chroma_planes,
    decoded_gray,
    encode,
)
from colorcli.images.codecs.jpeg.luma import PROGRESSIVE, luma_alone
from colorcli.images.codecs.jpeg.segments import Component, Frame, Segment
from colorcli.images.metadata import icc
from colorcli.images.raster import Raster, band_luma, shrunk_plane

FULL_CHROMA_PIXELS = 4_000_000
"""Up to here chroma is stored at full size; above, at half of it where the source allows it, as cameras do:
the network works at a few hundred pixels, so that nothing is lost, and files and time are saved."""
FAINT = 2
"""Code values of chroma up to which a source counts as neutral: it cannot clip by a code value."""
EIGHTH = 8
"""Chroma is judged at this part of its size."""
EXACT_ATTEMPTS = 4
SEQUENTIAL_OR_PROGRESSIVE = (0xC0, 0xC1, PROGRESSIVE)
CANONICAL = (1, 2, 3)
"""Component numbers of Y, Cb and Cr in JFIF."""


@dataclass(frozen=True)
class Jpeg:
    """A JPEG taken apart so far that its luma can be seen and its chroma replaced."""

    head: tuple[Segment, ...]
    """Application segments and comments, in their order."""
    luma: tuple[Segment, ...]
    """A gray JPEG of the luma: tables, frame and scans."""
    pixels: Bytes
    """Luma [H, W]."""
    chroma: Plane | None
    """The source's own chroma [2, h, w], at whatever size it is at hand; None where it has none."""
    trailer: bytes
    """What follows the picture in the file."""
    sampling: Sampling
    """How chroma is to be stored: never coarser than in the source, if that had any."""
    spare: float = CLIPPED
    """Code values of gray that clipping may take; none where luma itself had to be coded anew."""
    toning: Toning | None = None
    """The source's chroma: where it makes decoders clip it stays, or gray would be seen to change."""


def read(source: Path, data: bytes) -> Jpeg:
    """Take a JPEG apart.

    Raises:
        InputError: it is damaged, or coded in a way nobody here can read.
    """
    try:
        segments, trailer = seg.parse(data)
        frame = seg.frame_of(segments)
        _coarsest_table(segments)
    except ValueError as error:
        raise InputError(source, f"damaged JPEG ({error})", "scan or copy it again") from error
    head = tuple(segment for segment in segments if _is_head(segment))
    if len(frame.components) == 1 and frame.marker in SEQUENTIAL_OR_PROGRESSIVE and frame.depth == 8:
        pixels = _decode_gray(source, data)
        luma = tuple(segment for segment in segments if not _is_head(segment))
        return Jpeg(head, luma, pixels, None, trailer, _stored_at(Sampling(2, 2), frame))
    if _holds_luma(frame, head):
        return _read_interleaved(source, data, head, frame, trailer)
    return _read_without_luma(source, data, head, trailer)


def colored(jpeg: Jpeg, fit: ChromaFit, head: Sequence[Segment]) -> bytes:
    """The JPEG with its luma as it was and chroma from `fit`, under the segments `head`."""
    frame = seg.frame_of(jpeg.luma)
    table = _chroma_table(jpeg.luma)
    planes = chroma_planes(jpeg.pixels, fit, jpeg.sampling, jpeg.toning)
    cb, cr = (seg.parse(data)[0] for data in encode(planes, table, frame.marker == PROGRESSIVE, jpeg.spare))
    return seg.join(_spliced(head, jpeg.luma, frame, jpeg.sampling, (cb, cr))) + jpeg.trailer


def from_raster(raster: Raster, dpi: tuple[float, float] | None) -> Jpeg:
    """A picture of another format as a JPEG without chroma yet; its alpha is left behind."""
    luma = np.concatenate([band_luma(band) for band in raster.bands()])
    pixels = np.rint(luma * np.float32(255 / raster.peak)).astype(np.uint8)
    scan, pixels = _encode_exactly(pixels)
    across, down = (min(65535, round(value)) for value in dpi or (72, 72))
    jfif = Segment(seg.APP0, struct.pack(">5sHBHHBB", b"JFIF\0", 0x0102, 1, across, down, 0, 0))
    return Jpeg((jfif,), scan, pixels, None, b"", Sampling(1, 1), spare=0)


def color_raster(source: Path, data: bytes) -> Raster:
    """The picture as RGB with the color it has."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise InputError(source, "damaged JPEG (it cannot be decoded)", "scan or copy it again")
    return Raster.of(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def encode_color(raster: Raster, head: Sequence[Segment]) -> bytes:
    """A picture that keeps the color it has, as a JPEG of high quality."""
    target = io.BytesIO()
    Image.fromarray(raster.narrowed().whole()[:, :, :3]).save(target, "JPEG", quality=95, subsampling=0)
    start, jfif, *rest = seg.parse(target.getvalue())[0]
    return seg.join([start, jfif, *head, *rest])


def _spliced(
    head: Sequence[Segment],
    luma: Sequence[Segment],
    frame: Frame,
    sampling: Sampling,
    chroma: tuple[list[Segment], list[Segment]],
) -> list[Segment]:
    """One JPEG of three gray ones."""
    free = next(number for number in (1, 2, 3, 0) if number != frame.components[0].table)
    components = (
        Component(CANONICAL[0], sampling.across, sampling.down, frame.components[0].table),
        *(Component(number, 1, 1, free) for number in CANONICAL[1:]),
    )
    result = [Segment(seg.SOI), *head]
    for segment in luma:
        if segment.marker in seg.FRAMES:
            result += [_table_segment(chroma[0], free), replace(frame, components=components).segment()]
        elif segment.marker == seg.SOS:
            result.append(_for_component(segment, CANONICAL[0]))
        elif segment.marker not in (seg.SOI, seg.EOI):
            result.append(segment)
    if any(segment.marker == seg.DRI for segment in luma):
        result.append(Segment(seg.DRI, b"\0\0"))
    for number, plane in zip(CANONICAL[1:], chroma, strict=True):
        for segment in plane:
            if segment.marker == seg.SOS:
                result.append(_for_component(segment, number))
            elif segment.marker == seg.DHT:
                result.append(segment)
    return [*result, Segment(seg.EOI)]


def _for_component(scan: Segment, number: int) -> Segment:
    """A scan of one component, given to another one."""
    return replace(scan, payload=scan.payload[:1] + bytes((number,)) + scan.payload[2:])


def _table_segment(plane: Sequence[Segment], number: int) -> Segment:
    (table,) = (segment for segment in plane if segment.marker == seg.DQT)
    return replace(table, payload=bytes((number,)) + table.payload[1:])


def _chroma_table(luma: Sequence[Segment]) -> list[int]:
    """Steps for chroma, nowhere coarser than the source's own."""
    return [min(step, COARSEST) for step in _coarsest_table(luma)]


def _coarsest_table(segments: Sequence[Segment]) -> list[int]:
    tables = seg.quantization_tables(segments)
    if not tables:
        raise ValueError("no quantization table")
    return [max(steps) for steps in zip(*tables.values(), strict=True)]


def _is_head(segment: Segment) -> bool:
    return 0xE0 <= segment.marker <= 0xEF or segment.marker == seg.COM


def _is_adobe(segment: Segment) -> bool:
    return (
        segment.marker == seg.APP14 and segment.payload.startswith(seg.ADOBE) and len(segment.payload) >= 12
    )


def _holds_luma(frame: Frame, head: Sequence[Segment]) -> bool:
    """Whether the first component is luma at the picture's own size."""
    if len(frame.components) not in (1, 3) or frame.depth != 8 or _holds_rgb(frame, head):
        return False
    first = frame.components[0]
    return all(
        part.horizontal <= first.horizontal and part.vertical <= first.vertical for part in frame.components
    )


def _holds_rgb(frame: Frame, head: Sequence[Segment]) -> bool:
    """Three components that are no Y'CbCr, by the rules libjpeg goes by."""
    if len(frame.components) != 3:
        return False
    if any(segment.marker == seg.APP0 and segment.payload.startswith(b"JFIF") for segment in head):
        return False
    for segment in head:
        if _is_adobe(segment):
            return segment.payload[11] == 0
    return tuple(part.identifier for part in frame.components) == (ord("R"), ord("G"), ord("B"))


def _decode_gray(source: Path, data: bytes) -> Bytes:
    try:
        return decoded_gray(data)
    except ValueError as error:
        raise InputError(source, f"damaged JPEG ({error})", "scan or copy it again") from error


def _read_interleaved(
    source: Path, data: bytes, head: tuple[Segment, ...], frame: Frame, trailer: bytes
) -> Jpeg:
    """Luma's coefficients into a scan of their own."""
    sampling = _stored_at(_sampling(frame), frame)
    own: Sequence[Bytes] = ()
    chroma, toning = None, None
    try:
        luma = luma_alone(data, frame)
        scans = tuple(part for part in seg.parse(luma.data)[0] if not _is_head(part))
        if luma.neutral:
            pixels = decoded_gray(luma.data)
        else:
            planes = jpeg_turbo.decoded_planes(data, *sampling)
            if planes is None:  # chroma is at hand only as it is shown, so that is how it has to be stored
                planes, sampling = _decoded_planes(data), Sampling(1, 1)
            pixels, *own = planes
    except ValueError as error:
        raise InputError(source, f"damaged JPEG ({error})", "scan or copy it again") from error
    if _is_colored(own):
        height, width = (-(-length // EIGHTH) for length in pixels.shape)
        small = np.stack([shrunk_plane(plane, height, width) for plane in own])
        chroma = small - np.float32(GRAY / 255)
        toning = own[0], own[1]
    return Jpeg(head, scans, pixels, chroma, trailer, sampling, toning=toning)


def _is_colored(chroma: Sequence[Bytes]) -> bool:
    return any(plane.min() < GRAY - FAINT or plane.max() > GRAY + FAINT for plane in chroma)


def _decoded_planes(data: bytes) -> list[Bytes]:
    """Y, Cb and Cr [H, W] each, as libjpeg decodes them; raises ValueError where it cannot."""
    try:
        return list(cv2.split(imagecodecs.jpeg8_decode(data, outcolorspace="YCBCR")))
    except imagecodecs.Jpeg8Error as error:
        raise ValueError(str(error)) from error


def _stored_at(coarsest: Sampling, frame: Frame) -> Sampling:
    return coarsest if frame.height * frame.width > FULL_CHROMA_PIXELS else Sampling(1, 1)


def _sampling(frame: Frame) -> Sampling:
    """How coarse the source's chroma is, as far as two samples across and down."""
    if len(frame.components) < 3:
        return Sampling(2, 2)
    luma, cb, cr = frame.components
    across = luma.horizontal // max(cb.horizontal, cr.horizontal, 1)
    down = luma.vertical // max(cb.vertical, cr.vertical, 1)
    return Sampling(min(2, max(1, across)), min(2, max(1, down)))


def _read_without_luma(source: Path, data: bytes, head: tuple[Segment, ...], trailer: bytes) -> Jpeg:
    """RGB or CMYK: luma is computed, and encoded so finely that it decodes to within a code value."""
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(source, f"damaged JPEG ({error})", "scan or copy it again") from error
    kept = [part for part in head if not _is_adobe(part)]
    if image.mode == "CMYK":
        rgb = icc.rgb_from_cmyk(np.asarray(image), seg.icc_of(head))
        kept = [*(part for part in kept if not seg.is_icc(part)), *seg.icc_segments(icc.srgb_profile())]
    else:
        rgb = np.asarray(image.convert("RGB"))
    luma, chroma = ycbcr_from_rgb(rgb.transpose(2, 0, 1).astype(np.float32) / 255)
    pixels = np.rint(luma * np.float32(255)).astype(np.uint8)
    scan, pixels = _encode_exactly(pixels)
    return Jpeg(tuple(kept), scan, pixels, chroma, trailer, Sampling(1, 1), spare=0)


def _encode_exactly(luma: Bytes) -> tuple[tuple[Segment, ...], Bytes]:
    """A gray JPEG that decodes to within one code value of `luma`, and what it decodes to.

    With steps of 1 it nearly always does; where a pixel is off by more, it is aimed at from the other side.
    """
    aim = luma.astype(np.int16)
    for _ in range(EXACT_ATTEMPTS):
        target = io.BytesIO()
        Image.fromarray(np.clip(aim, 0, 255).astype(np.uint8)).save(target, "JPEG", qtables=[[1] * 64])
        decoded = decoded_gray(target.getvalue())
        error = decoded.astype(np.int16) - luma
        if np.abs(error).max() <= 1:
            break
        aim -= np.where(np.abs(error) > 1, np.sign(error), 0).astype(np.int16)
    return tuple(part for part in seg.parse(target.getvalue())[0] if not _is_head(part)), decoded
