"""Camera raw files, read only, by LibRaw: importing this module raises SetupError without rawpy.

Raw data has no luma yet. What is colorized is the developed picture: demosaiced, in the camera's white
balance, sRGB at 16 bits, no brightening, turned upright. It is written as TIFF.
"""

import struct
from pathlib import Path

import numpy as np

from colorcli.errors import needs_extra
from colorcli.images.codecs.base import Metadata, Page, ReadOnlyCodec, Size
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.tiff.codec import ABOUT_PIXELS
from colorcli.images.codecs.tiff.directories import read_chain, read_directory
from colorcli.images.codecs.tiff.exif import block_of
from colorcli.images.metadata import exif, icc
from colorcli.images.raster import Raster

with needs_extra("camera raw", "raw"):
    import rawpy

SRGB_CURVE = (2.4, 12.92)
"""Exponent and slope at black (IEC 61966-2-1)."""
ABOUT_RAW = range(50706, 52600)
"""Tags of DNG (Adobe DNG specification 1.7): of the sensor, its colors and how it is developed."""
DEVELOPED = "developed in the camera's white balance: raw data, maker note and previews are left out"


class RawCodec(ReadOnlyCodec):
    name = "camera raw"

    def probe(self, source: Path) -> Size:
        with rawpy.imread(str(source)) as raw:
            return Size(raw.sizes.height, raw.sizes.width)

    def decode(self, source: Path, data: bytes) -> Page:
        with rawpy.imread(str(source)) as raw:
            pixels = raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=SRGB_CURVE,
                output_color=rawpy.ColorSpace.sRGB,
            )  # fmt: skip
        if (pixels[..., :1] == pixels).all():  # a monochrome sensor, or a scanner
            pixels = np.ascontiguousarray(pixels[..., :1])
        metadata = Metadata(exif.upright(_exif(source)), icc=icc.srgb_profile())
        return Page(Raster.of(pixels), metadata, notes=(DEVELOPED,))


RAW = RawCodec()


def _exif(source: Path) -> bytes | None:
    """The Exif tags of a raw file that is a TIFF; None for others, whose structure is their maker's."""
    try:
        chain = read_chain(source)
        with source.open("rb") as file:
            tags = read_directory(file, chain.offsets[0], chain.layout)
    except (DamagedError, struct.error, IndexError):
        return None
    kept = {code: tag for code, tag in tags.items() if code not in ABOUT_PIXELS and code not in ABOUT_RAW}
    return block_of(kept, chain.layout)
