"""A JPEG's luma by itself: its quantized coefficients in a scan of their own, not one of them changed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from colorcli.images.codecs.jpeg import turbojpeg as jpeg_turbo
from colorcli.images.codecs.jpeg.segments import Frame

PROGRESSIVE = 0xC2


@dataclass(frozen=True)
class Luma:
    data: bytes
    """A gray JPEG, as `jpegtran -grayscale` makes it."""
    neutral: bool
    """Whether the source is known to hold no color: every coefficient of its chroma is 0."""


def luma_alone(data: bytes, frame: Frame) -> Luma:
    """The luma of the Y'CbCr JPEG `data`.

    Raises:
        ValueError: it is too damaged for that.
    """
    found = jpeg_turbo.luma_alone(data, frame.marker == PROGRESSIVE)
    # What TurboJPEG calls corrupt may be no more than stray bytes, which jpeglib skips.
    return Luma(*found) if found else _by_jpeglib(data, frame)


def _by_jpeglib(data: bytes, frame: Frame) -> Luma:
    """The same through files and NumPy arrays, which takes six times as long."""
    import jpeglib  # slow to import, and seldom needed

    jpeglib.version.set("turbo210")
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        place = Path(folder) / "luma.jpg"
        try:
            place.write_bytes(data)
            coefficients = jpeglib.read_dct(str(place))
            coefficients.load()
            table = coefficients.qt[coefficients.quant_tbl_no[0]]
            gray = jpeglib.from_dct(Y=coefficients.Y, qt=table[None], quant_tbl_no=[0])
            gray.height, gray.width = frame.height, frame.width
            gray.write_dct(str(place))
            # What is damaged lands here, so that all of it has to be decoded.
            return Luma(place.read_bytes(), neutral=False)
        except (OSError, IndexError) as error:
            raise ValueError(str(error)) from error
