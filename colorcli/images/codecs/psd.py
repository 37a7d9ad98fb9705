"""Photoshop's PSD and PSB (Adobe Photoshop File Formats Specification, 2019), read only: the flattened image.

A file has a header, a palette, resources (metadata), layers, and last the image as it looks with all layers.
That one is read; layers, saved selections and paths are not, which is said.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

from colorcli.errors import InputError
from colorcli.images.codecs.base import Metadata, Page, ReadOnlyCodec, Size, read_header
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.metadata import exif, icc
from colorcli.images.metadata.resources import IPTC, read_resources
from colorcli.images.raster import Pixels, Raster

BITMAP, GRAYSCALE, INDEXED, RGB, CMYK, DUOTONE = 0, 1, 2, 3, 4, 8
COLORS = {BITMAP: 1, GRAYSCALE: 1, INDEXED: 1, RGB: 3, CMYK: 4, DUOTONE: 1}
"""Channels of the color modes that are read."""
RESOLUTION, ICC, VERSION_INFO, EXIF, XMP = 1005, 1039, 1057, 1058, 1060
HEADER = struct.Struct(">4sH6xHIIHH")
RAW, RLE = 0, 1
PSB = 2
FLAT = "only the flattened image is colorized: layers and saved selections are left out"


@dataclass(frozen=True)
class Header:
    version: int
    """1 for PSD, 2 for PSB."""
    channels: int
    size: Size
    depth: int
    """Bits of a sample: 1, 8, 16 or 32."""
    mode: int

    @classmethod
    def of(cls, data: bytes) -> "Header":
        _, version, channels, height, width, depth, mode = HEADER.unpack_from(data)
        if version not in (1, PSB) or not (channels and height and width):
            raise DamagedError("broken header")
        return cls(version, channels, Size(height, width), depth, mode)


class PsdCodec(ReadOnlyCodec):
    name = "Photoshop"

    def probe(self, source: Path) -> Size:
        return Header.of(read_header(source)).size

    def decode(self, source: Path, data: bytes) -> Page:
        header = Header.of(data)
        if header.mode not in COLORS or header.depth not in (1, 8, 16):
            cause = f"a Photoshop file of mode {header.mode} and {header.depth} bits, which is not read"
            raise InputError(source, cause, "save it as TIFF")
        file = io.BytesIO(data)
        file.seek(HEADER.size)
        palette = _section(file)
        resources = dict(read_resources(_section(file)))
        if resources.get(VERSION_INFO, b"\0\0\0\0\1")[4:5] == b"\0":
            remedy = "save it with Maximize Compatibility, or as TIFF"
            raise InputError(source, "it has no flattened image", remedy)
        layers = _section(file, ">Q" if header.version == PSB else ">I")
        alpha = _merged_alpha(layers, header.version) and header.channels > COLORS[header.mode]
        used = COLORS[header.mode] + alpha
        pixels = _in_color(_channels(file, header)[:, :, :used], header, palette, resources)
        profile = resources.get(ICC) if header.mode != CMYK else icc.srgb_profile()
        block = resources.get(EXIF)
        metadata = Metadata(block, resources.get(XMP), profile, _dpi(resources), resources.get(IPTC))
        flat = layers.strip(b"\0") or header.channels > used
        return Page(Raster.of(pixels), metadata, exif.orientation(block), (FLAT,) if flat else ())


PSD = PsdCodec()


def _section(file: io.BytesIO, layout: str = ">I") -> bytes:
    (size,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    section = file.read(size)
    if len(section) < size:
        raise DamagedError("truncated")
    return section


def _merged_alpha(layers: bytes, version: int) -> bool:
    """Whether the first channel after the colors is the transparency of the flattened image.

    Then the number of layers is negative; files of 16 bits, which keep layers elsewhere, have a mark.
    """
    start = 4 * version
    if len(layers) > start and layers[:start].strip(b"\0"):
        return layers[start] > 127
    return b"8BIMMt16" in layers


def _channels(file: io.BytesIO, header: Header) -> Pixels:
    """All channels [H, W, C] of the flattened image, uint8 or uint16; bitmaps are 0 or 255."""
    (compression,) = struct.unpack(">H", file.read(2))
    height, width = header.size
    row_bytes = -(-width * header.depth // 8)
    rows = height * header.channels
    if compression == RLE:
        lengths = file.read(rows * (2 * header.version))
        if len(lengths) < rows * (2 * header.version):
            raise DamagedError("truncated")
        counts = np.frombuffer(lengths, f">u{2 * header.version}")
        plain = b"".join(_unpacked(file.read(int(count))) for count in counts)
    elif compression == RAW:
        plain = file.read(rows * row_bytes)
    else:
        raise DamagedError("an unknown compression")
    if len(plain) != rows * row_bytes:
        raise DamagedError("truncated")
    if header.depth == 1:
        bits = np.unpackbits(np.frombuffer(plain, np.uint8).reshape(rows, row_bytes), axis=1)[:, :width]
        samples = (1 - bits) * np.uint8(255)  # 1 is black
    else:
        samples = np.frombuffer(plain, f">u{header.depth // 8}").reshape(rows, width)
    native = samples.astype(samples.dtype.newbyteorder("="))
    return np.ascontiguousarray(native.reshape(header.channels, height, width).transpose(1, 2, 0))


def _unpacked(row: bytes) -> bytes:
    try:
        return bytes(imagecodecs.packbits_decode(row))
    except (ValueError, TypeError, imagecodecs.PackbitsError) as error:
        raise DamagedError("a row that cannot be unpacked") from error


def _in_color(pixels: Pixels, header: Header, palette: bytes, resources: dict[int, bytes]) -> Pixels:
    """Gray or RGB, with or without alpha."""
    if header.mode == INDEXED:
        table = np.frombuffer(palette[:768], np.uint8).reshape(3, 256).T
        return np.concatenate([table[pixels[:, :, 0]], pixels[:, :, 1:]], axis=2)
    if header.mode == CMYK:  # inks are stored inverted
        peak = np.iinfo(pixels.dtype).max
        inks = np.ascontiguousarray(peak - pixels[:, :, :4])
        return np.concatenate([icc.rgb_from_cmyk(inks, resources.get(ICC)), pixels[:, :, 4:]], axis=2)
    return pixels


def _dpi(resources: dict[int, bytes]) -> tuple[float, float] | None:
    """Both resolutions are in pixels an inch, whatever unit they are shown in."""
    if len(resources.get(RESOLUTION, b"")) < 16:
        return None
    across, _, _, down = struct.unpack_from(">IHHI", resources[RESOLUTION])
    return across / 65536, down / 65536
