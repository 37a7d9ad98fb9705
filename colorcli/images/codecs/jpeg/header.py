"""What a JPEG carries beside its picture: kept as it is, but for what color makes wrong."""

import struct
from collections.abc import Sequence
from dataclasses import replace

from colorcli.images.codecs.base import Metadata
from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg.segments import Segment
from colorcli.images.metadata import icc
from colorcli.images.metadata.exif import orientation
from colorcli.images.metadata.xmp import with_provenance
from colorcli.models.card import ModelCard

YCBCR = 1
"""Adobe's number for Y'CbCr, in the last byte of its segment."""


def exif_of(head: Sequence[Segment]) -> bytes | None:
    return _payload(head, seg.EXIF)


def orientation_of(head: Sequence[Segment]) -> int:
    return orientation(exif_of(head))


def xmp_of(head: Sequence[Segment]) -> bytes | None:
    return _payload(head, seg.XMP)


def metadata_of(head: Sequence[Segment]) -> Metadata:
    return Metadata(exif_of(head), xmp_of(head), seg.icc_of(head), _dpi(head))


def from_metadata(metadata: Metadata) -> list[Segment]:
    """Segments for a picture that comes from another format; what is too large for a segment is left out."""
    parts = [(seg.EXIF, metadata.exif), (seg.XMP, metadata.xmp)]
    result = [Segment(seg.APP1, mark + body) for mark, body in parts if body]
    profile = icc.for_rgb(metadata.icc)
    result += seg.icc_segments(profile) if profile else []
    return [segment for segment in result if len(segment.payload) <= seg.LARGEST]


def _dpi(head: Sequence[Segment]) -> tuple[float, float] | None:
    for segment in head:
        if (
            segment.marker == seg.APP0
            and segment.payload.startswith(b"JFIF\0")
            and len(segment.payload) >= 12
        ):
            unit, across, down = struct.unpack_from(">BHH", segment.payload, 7)
            scale = {1: 1.0, 2: 2.54}.get(unit)
            return (across * scale, down * scale) if scale else None
    return None


def for_color(head: Sequence[Segment], card: ModelCard | None) -> tuple[Segment, ...]:
    """The segments of a file that has become Y'CbCr, marked with the model of `card` unless that is None."""
    profile = seg.icc_of(head)
    result = [_as_ycbcr(segment) for segment in head]
    if profile is not None and icc.color_space(profile) != "RGB":
        result = [segment for segment in result if not seg.is_icc(segment)]
        matching = icc.for_rgb(profile)
        result += seg.icc_segments(matching) if matching else []
    return tuple(_marked(result, card) if card else result)


def _as_ycbcr(segment: Segment) -> Segment:
    if segment.marker == seg.APP14 and segment.payload.startswith(seg.ADOBE) and len(segment.payload) >= 12:
        return replace(segment, payload=segment.payload[:11] + bytes((YCBCR,)) + segment.payload[12:])
    return segment


def _marked(head: list[Segment], card: ModelCard) -> list[Segment]:
    packet = seg.XMP + with_provenance(xmp_of(head), card)
    if len(packet) > seg.LARGEST:
        packet = seg.XMP + _unpadded(packet[len(seg.XMP) :])
    if len(packet) > seg.LARGEST:
        return head  # nowhere to put it without losing what is there
    marked = Segment(seg.APP1, packet)
    for place, segment in enumerate(head):
        if segment.marker == seg.APP1 and segment.payload.startswith(seg.XMP):
            return [*head[:place], marked, *head[place + 1 :]]
    # Readers look for XMP after JFIF and Exif and before everything else.
    first = sum(segment.marker in (seg.APP0, seg.APP1) for segment in head)
    return [*head[:first], marked, *head[first:]]


def _unpadded(packet: bytes) -> bytes:
    """XMP writers leave room for editing in place: whitespace before the closing instruction."""
    body, mark, end = packet.rpartition(b"<?xpacket")
    return body.rstrip() + b"\n" + mark + end if mark else packet


def _payload(head: Sequence[Segment], prefix: bytes) -> bytes | None:
    for segment in head:
        if segment.marker == seg.APP1 and segment.payload.startswith(prefix):
            return segment.payload[len(prefix) :]
    return None
