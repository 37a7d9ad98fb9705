"""Netpbm's PGM and PPM (netpbm.sourceforge.net/doc/pgm.html, ppm.html), which many scanners write.

A text header (`P5`, width, height, highest value; comments after `#`) is followed by samples of one or two
bytes, the high byte first, or in the plain variants (`P2`, `P3`) by decimal numbers. The output is always
binary PPM, and names the model in a comment.
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import DEPTH, OutputPage, Page, SinglePageCodec, Size, read_header
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.raster import Pixels, Raster, stretched
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE

PLAIN, BINARY = (b"P2", b"P3"), (b"P5", b"P6")
CHANNELS = {b"P2": 1, b"P5": 1, b"P3": 3, b"P6": 3}
COMMENT = re.compile(rb"#([^\r\n]*)")
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
HEADER = re.compile(rb"(P[2356])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})")


@dataclass(frozen=True)
class Header:
    magic: bytes
    size: Size
    top: int
    """The highest value of a sample, 1 to 65535."""
    comments: tuple[bytes, ...]
    end: int
    """Position of the white space before the first sample."""

    @classmethod
    def of(cls, data: bytes) -> "Header":
        """Raises DamagedError if the header is broken."""
        found = HEADER.match(data)
        if found is None:
            raise DamagedError("broken header")
        width, height, top = (int(number) for number in found.groups()[1:])
        if not (width and height and 0 < top < 1 << 16):
            raise DamagedError("broken header")
        comments = tuple(COMMENT.findall(found[0]))
        return cls(found[1], Size(height, width), top, comments, found.end())


@dataclass(frozen=True, kw_only=True)
class NetpbmPage(Page):
    comments: tuple[bytes, ...]


class NetpbmCodec(SinglePageCodec):
    name = "Netpbm"
    holds = frozenset((DEPTH,))

    def probe(self, source: Path) -> Size:
        return Header.of(read_header(source)).size

    def decode(self, source: Path, data: bytes) -> Page:
        header = Header.of(data)
        samples = header.size.height * header.size.width * CHANNELS[header.magic]
        kind = np.dtype(">u2") if header.top > 255 else np.dtype(np.uint8)
        if header.magic in PLAIN:
            values = _plain_samples(data[header.end :], samples)
        else:
            end = header.end + 1 + samples * kind.itemsize
            if len(data) < end:
                raise DamagedError("truncated")
            if data[end:].startswith(BINARY):
                raise InputError(source, "a file of several images", "split it, as with pamsplit")
            values = np.frombuffer(data, kind, samples, header.end + 1)
        if values.max() > header.top:
            raise DamagedError("a sample is higher than the highest value in the header")
        pixels = stretched(values.astype(kind.newbyteorder("=")), header.top)
        return NetpbmPage(Raster.of(pixels.reshape(*header.size, -1)), comments=header.comments)

    def encode(self, page: OutputPage) -> bytes:
        raster = page.raster.without_alpha()
        lines = [b"P6", *(b"#" + comment for comment in _comments(page))]
        lines += [b"%d %d" % (raster.width, raster.height), b"%d" % raster.peak]
        pixels = raster.array()
        return b"\n".join(lines) + b"\n" + pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).tobytes()


NETPBM = NetpbmCodec()


def _plain_samples(text: bytes, count: int) -> Pixels:
    if 2 * count - 1 > len(text):  # a digit and a space each: do not reserve memory for what is not there
        raise DamagedError("truncated")
    with warnings.catch_warnings():
        # NumPy warns of what is not a number, and stops there. Given a count, it invents what is missing.
        warnings.simplefilter("ignore")
        try:
            values = np.fromstring(COMMENT.sub(b"", text), np.uint32, sep=" ")[:count]
        except ValueError:  # or raises
            values = np.zeros(0, np.uint32)
    if len(values) < count:
        raise DamagedError("truncated, or a sample is not a number")
    return values


def _comments(page: OutputPage) -> Iterator[bytes]:
    if isinstance(page.page, NetpbmPage):
        yield from page.page.comments
    if page.chroma is not None and page.card is not None:
        yield f" DigitalSourceType: {DIGITAL_SOURCE_TYPE}".encode()
        yield f" AISystemUsed: colorcli {page.card.name} {page.card.version}".encode()
