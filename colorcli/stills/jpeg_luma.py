"""A JPEG's luma by itself: its quantised coefficients in a scan of their own, not one of them changed."""

import tempfile
from contextlib import suppress
from pathlib import Path

from colorcli.stills.jpeg_segments import Frame

try:
    import turbojpeg
except ImportError:  # built for Python 3.11 to 3.13 only, and not for Linux on ARM
    turbojpeg = None

PROGRESSIVE = 0xC2


def luma_alone(data: bytes, frame: Frame) -> bytes:
    """The grey JPEG of the Y'CbCr JPEG `data`, as `jpegtran -grayscale` makes it.

    Raises:
        ValueError: it is too damaged for that.
    """
    if turbojpeg is not None:
        with suppress(
            RuntimeError
        ):  # what it calls corrupt may be no more than stray bytes, which jpeglib skips
            return turbojpeg.transform(
                data, gray=True, copynone=True, progressive=frame.marker == PROGRESSIVE
            )
    return _by_jpeglib(data, frame)


def _by_jpeglib(data: bytes, frame: Frame) -> bytes:
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
            grey = jpeglib.from_dct(Y=coefficients.Y, qt=table[None], quant_tbl_no=[0])
            grey.height, grey.width = frame.height, frame.width
            grey.write_dct(str(place))
            return place.read_bytes()
        except (OSError, IndexError) as error:
            raise ValueError(str(error)) from error
