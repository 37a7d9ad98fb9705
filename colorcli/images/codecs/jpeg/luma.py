"""A JPEG of luma alone: extracted without changing a coefficient, or encoded almost exactly."""

import io
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.jpeg import segments as seg
from colorcli.images.codecs.jpeg import turbojpeg
from colorcli.images.codecs.jpeg.plane import Bytes, decoded_gray
from colorcli.images.codecs.jpeg.segments import Frame, Segment

EXACT_ATTEMPTS = 4


@dataclass(frozen=True)
class Luma:
    data: bytes
    """A gray JPEG, as `jpegtran -grayscale` makes it."""
    neutral: bool
    """Whether the source is known to have no color: every coefficient of its chroma is 0."""


def extract_luma(data: bytes, frame: Frame) -> Luma:
    """The luma of the Y'CbCr JPEG `data`, its quantized coefficients unchanged.

    Raises:
        DamagedError: it is too damaged for that.
    """
    if turbojpeg.turbo is None:
        return _extract_with_jpeglib(data, frame)
    found = turbojpeg.extract_luma(data, frame.marker == seg.PROGRESSIVE)
    if found is None:
        raise DamagedError("its coefficients cannot be read")
    return Luma(*found)


def can_extract() -> bool:
    """Whether a library is installed that gives access to coefficients."""
    return turbojpeg.turbo is not None or find_spec("jpeglib") is not None


def _extract_with_jpeglib(data: bytes, frame: Frame) -> Luma:
    """The same where there is no TurboJPEG, through files and NumPy arrays, which takes six times as long."""
    import jpeglib  # slow to import, and seldom needed

    jpeglib.version.set("turbo210")
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
        path = Path(folder) / "luma.jpg"
        try:
            path.write_bytes(data)
            coefficients = jpeglib.read_dct(str(path))
            coefficients.load()
            table = coefficients.qt[coefficients.quant_tbl_no[0]]
            gray = jpeglib.from_dct(Y=coefficients.Y, qt=table[None], quant_tbl_no=[0])
            gray.height, gray.width = frame.height, frame.width
            gray.write_dct(str(path))
            # Damaged files end here: whether they are neutral is found out by decoding all of them.
            return Luma(path.read_bytes(), neutral=False)
        except (OSError, IndexError) as error:
            raise DamagedError("its coefficients cannot be read") from error


def encode_exactly(luma: Bytes) -> tuple[tuple[Segment, ...], Bytes]:
    """The segments of a gray JPEG that decodes to within one code value of `luma`, and what it decodes to.

    With quantization steps of 1 it nearly always does; a pixel that is off by more is overcorrected.
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
    return tuple(part for part in seg.parse(target.getvalue())[0] if not part.is_metadata), decoded
