"""A JPEG's luma by itself: its quantised coefficients in a scan of their own, not one of them changed."""

import ctypes
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from colorcli.stills.jpeg_segments import Frame

PROGRESSIVE = 0xC2
TO_TRANSFORM = 2
"""TJINIT_TRANSFORM."""


@dataclass(frozen=True)
class Luma:
    data: bytes
    """A grey JPEG, as `jpegtran -grayscale` makes it."""
    neutral: bool
    """Whether the source is known to hold no colour: every coefficient of its chroma is 0."""


def luma_alone(data: bytes, frame: Frame) -> Luma:
    """The luma of the Y'CbCr JPEG `data`.

    Raises:
        ValueError: it is too damaged for that.
    """
    # What TurboJPEG calls corrupt may be no more than stray bytes, which jpeglib skips.
    return _by_turbojpeg(data, frame) or _by_jpeglib(data, frame)


class _Region(ctypes.Structure):
    """tjregion."""

    _fields_: ClassVar = [(name, ctypes.c_int) for name in ("x", "y", "width", "height")]


_FILTER = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_short),
    _Region,
    _Region,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_void_p,
)


class _Transform(ctypes.Structure):
    """tjtransform, version 3 of the TurboJPEG API (turbojpeg.h)."""

    GRAY, NO_OUTPUT, PROGRESSIVE, COPY_NONE = 8, 16, 32, 64
    _fields_: ClassVar = [
        ("region", _Region),
        ("operation", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("filter", _FILTER),
    ]


def _turbojpeg() -> ctypes.CDLL | None:
    """The library inside turbojpeg's wheel, whose own binding knows neither filters nor two transforms."""
    try:
        import turbojpeg  # built for Python 3.11 to 3.13 only, and not for Linux on ARM

        library = ctypes.CDLL(turbojpeg.__file__)
        library.tj3Init.restype = ctypes.c_void_p
        library.tj3Transform.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int,
            ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(_Transform),
        ]  # fmt: skip
        library.tj3Free.argtypes = library.tj3Destroy.argtypes = [ctypes.c_void_p]
    except (ImportError, OSError, AttributeError):  # Windows does not look into the libraries of a library
        return None
    return library


turbojpeg = _turbojpeg()


def _by_turbojpeg(data: bytes, frame: Frame) -> Luma | None:
    """Luma written and chroma looked at in one pass over the entropy-coded data; None where it gives up."""
    if turbojpeg is None:
        return None
    coloured: list[int] = []

    def look(coefficients: object, part: _Region, plane: _Region, component: int, *_: object) -> int:
        if component and not coloured:
            values = np.ctypeslib.as_array(coefficients, (part.height * part.width,))
            if values.any():
                coloured.append(component)
        return 0

    luma, chroma = transforms = (_Transform * 2)()
    luma.options = _Transform.GRAY | _Transform.COPY_NONE
    if frame.marker == PROGRESSIVE:
        luma.options |= _Transform.PROGRESSIVE
    chroma.options = _Transform.NO_OUTPUT
    chroma.filter = _FILTER(look)
    outputs, sizes = (ctypes.c_void_p * 2)(), (ctypes.c_size_t * 2)()
    handle = turbojpeg.tj3Init(TO_TRANSFORM)
    try:
        failed = turbojpeg.tj3Transform(handle, data, len(data), 2, outputs, sizes, transforms)
        if failed or outputs[0] is None:
            return None
        return Luma(ctypes.string_at(outputs[0], sizes[0]), neutral=not coloured)
    finally:
        for output in outputs:
            turbojpeg.tj3Free(output)
        turbojpeg.tj3Destroy(handle)


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
            grey = jpeglib.from_dct(Y=coefficients.Y, qt=table[None], quant_tbl_no=[0])
            grey.height, grey.width = frame.height, frame.width
            grey.write_dct(str(place))
            # What is damaged lands here, so that all of it has to be decoded.
            return Luma(place.read_bytes(), neutral=False)
        except (OSError, IndexError) as error:
            raise ValueError(str(error)) from error
