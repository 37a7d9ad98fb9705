"""The segments of a JPEG that hold its metadata, read and written."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

from colorcli.images.codecs.base import Metadata
from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg.segments import Segment
from colorcli.images.metadata.resources import iptc_in, resource_with_iptc

YCBCR = 1
"""Adobe's number for Y'CbCr, in the last byte of its segment."""
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
DOTS_PER_INCH = {1: 1.0, 2: 2.54}
"""By the unit in a JFIF segment."""


def metadata_of(head: Sequence[Segment]) -> Metadata:
    exif, xmp = _block(head, seg.EXIF), _block(head, seg.XMP)
    return Metadata(exif, xmp, seg.icc_of(head), _dpi(head), _iptc(head))


def confined(head: Sequence[Segment]) -> Iterator[str]:
    """What is in these segments that no other format holds."""
    if any(segment.marker == seg.COM for segment in head):
        yield "its comments"
    if any(segment.payload.startswith(EXTENDED_XMP) for segment in head if segment.marker == seg.APP1):
        yield "the extended part of its XMP"


def with_metadata(head: Sequence[Segment], metadata: Metadata) -> tuple[Segment, ...]:
    """The segments of a file that has become Y'CbCr, with this metadata in place of what they had.

    What does not fit into a segment is left as it was.
    """
    result = [_as_ycbcr(segment) for segment in head]
    result = _with_block(result, seg.EXIF, metadata.exif)
    result = _with_block(result, seg.XMP, metadata.xmp)
    if seg.icc_of(result) != metadata.icc:
        result = [segment for segment in result if not seg.is_icc(segment)]
        result += seg.icc_segments(metadata.icc) if metadata.icc else []
    return tuple(result)


def jfif(dpi: tuple[float, float] | None) -> Segment:
    """The segment that a JPEG of a picture from another format starts with."""
    across, down = (min(65535, round(value)) for value in dpi or (72, 72))
    return Segment(seg.APP0, struct.pack(">5sHBHHBB", b"JFIF\0", 0x0102, 1, across, down, 0, 0))


def is_adobe(segment: Segment) -> bool:
    """Whether this is Adobe's segment, whose last byte says what the components are."""
    return (
        segment.marker == seg.APP14 and segment.payload.startswith(seg.ADOBE) and len(segment.payload) >= 12
    )


def _as_ycbcr(segment: Segment) -> Segment:
    if not is_adobe(segment):
        return segment
    return replace(segment, payload=segment.payload[:11] + bytes((YCBCR,)) + segment.payload[12:])


def _with_block(head: list[Segment], prefix: bytes, block: bytes | None) -> list[Segment]:
    if block is None or block == _block(head, prefix):
        return head
    if len(prefix + block) > seg.LARGEST:
        block = _without_padding(block)
    if len(prefix + block) > seg.LARGEST:
        return head
    new = Segment(seg.APP1, prefix + block)
    for index, segment in enumerate(head):
        if segment.marker == seg.APP1 and segment.payload.startswith(prefix):
            return [*head[:index], new, *head[index + 1 :]]
    # Readers look for XMP after JFIF and Exif and before everything else. Nothing may come between segments
    # that are parts of one block.
    first = 0
    for index, segment in enumerate(head, start=1):
        if segment.marker == seg.APP0 or (
            segment.marker == seg.APP1 and segment.payload.startswith(seg.EXIF)
        ):
            first = index
    return [*head[:first], new, *head[first:]]


def iptc_segments(records: bytes | None) -> list[Segment]:
    """IPTC records as Photoshop keeps them, in as many segments as they need."""
    if not records:
        return []
    block = resource_with_iptc(records)
    room = seg.LARGEST - len(seg.PHOTOSHOP)
    return [Segment(seg.APP13, seg.PHOTOSHOP + block[at : at + room]) for at in range(0, len(block), room)]


def _iptc(head: Sequence[Segment]) -> bytes | None:
    """The IPTC records among Photoshop's resources, which may go on from segment to segment."""
    parts = [
        segment.payload[len(seg.PHOTOSHOP) :]
        for segment in head
        if segment.marker == seg.APP13 and segment.payload.startswith(seg.PHOTOSHOP)
    ]
    return iptc_in(b"".join(parts))


def _without_padding(packet: bytes) -> bytes:
    """XMP writers leave room for editing in place: whitespace before the closing instruction."""
    body, mark, end = packet.rpartition(b"<?xpacket")
    return body.rstrip() + b"\n" + mark + end if mark else packet


def _block(head: Sequence[Segment], prefix: bytes) -> bytes | None:
    for segment in head:
        if segment.marker == seg.APP1 and segment.payload.startswith(prefix):
            return segment.payload[len(prefix) :]
    return None


def _dpi(head: Sequence[Segment]) -> tuple[float, float] | None:
    for segment in head:
        is_jfif = segment.marker == seg.APP0 and segment.payload.startswith(b"JFIF\0")
        if is_jfif and len(segment.payload) >= 12:
            unit, across, down = struct.unpack_from(">BHH", segment.payload, 7)
            scale = DOTS_PER_INCH.get(unit)
            return (across * scale, down * scale) if scale else None
    return None
