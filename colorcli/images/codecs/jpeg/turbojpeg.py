"""TurboJPEG through ctypes: what the bindings in wheels leave out (turbojpeg.h, version 3 of the API)."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

DECOMPRESS, TRANSFORM = 1, 2
"""TJINIT_DECOMPRESS, TJINIT_TRANSFORM."""
SUBSAMPLING, WIDTH, HEIGHT = 4, 5, 6
"""TJPARAM_SUBSAMP, TJPARAM_JPEGWIDTH and TJPARAM_JPEGHEIGHT."""
SAMPLINGS = {0: (1, 1), 1: (2, 1), 2: (2, 2), 4: (1, 2)}
"""TJSAMP_444, _422, _420 and _440: luma samples that share a chroma sample, across and down."""


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
    """tjtransform."""

    GRAY, NO_OUTPUT, PROGRESSIVE, COPY_NONE = 8, 16, 32, 64
    _fields_: ClassVar = [
        ("region", _Region),
        ("operation", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("filter", _FILTER),
    ]


def _loaded() -> ctypes.CDLL | None:
    try:
        import turbojpeg  # built for Python 3.11 to 3.13 only, and not for Linux on ARM

        library = ctypes.CDLL(turbojpeg.__file__)
        library.tj3Init.restype = ctypes.c_void_p
        pointer, size, whole = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        library.tj3Transform.argtypes = [
            pointer, ctypes.c_char_p, size, whole, pointer, pointer, ctypes.POINTER(_Transform)
        ]  # fmt: skip
        library.tj3DecompressHeader.argtypes = [pointer, ctypes.c_char_p, size]
        library.tj3DecompressToYUVPlanes8.argtypes = [pointer, ctypes.c_char_p, size, pointer, pointer]
        library.tj3Get.argtypes = [pointer, whole]
        library.tj3Free.argtypes = library.tj3Destroy.argtypes = [pointer]
    except (ImportError, OSError, AttributeError):  # Windows exports no symbols of a linked library
        return None
    return library


turbo = _loaded()


@contextmanager
def _handle(library: ctypes.CDLL, kind: int) -> Iterator[int]:
    handle = library.tj3Init(kind)
    try:
        yield handle
    finally:
        library.tj3Destroy(handle)


def extract_luma(data: bytes, progressive: bool) -> tuple[bytes, bool] | None:
    """A gray JPEG of the luma, and whether chroma is 0 throughout; None if TurboJPEG cannot make it.

    One pass over the entropy-coded data does both.
    """
    if turbo is None:
        return None
    colored: list[int] = []

    def inspect(coefficients: Any, part: _Region, plane: _Region, component: int, *_: object) -> int:
        if component and not colored:
            values = np.ctypeslib.as_array(coefficients, (part.height * part.width,))
            if values.any():
                colored.append(component)
        return 0

    luma, chroma = transforms = (_Transform * 2)()
    luma.options = _Transform.GRAY | _Transform.COPY_NONE
    if progressive:
        luma.options |= _Transform.PROGRESSIVE
    chroma.options = _Transform.NO_OUTPUT
    chroma.filter = _FILTER(inspect)
    outputs, sizes = (ctypes.c_void_p * 2)(), (ctypes.c_size_t * 2)()
    with _handle(turbo, TRANSFORM) as handle:
        try:
            failed = turbo.tj3Transform(handle, data, len(data), 2, outputs, sizes, transforms)
            if failed or outputs[0] is None:
                return None
            return ctypes.string_at(outputs[0], sizes[0]), not colored
        finally:
            for output in outputs:
                turbo.tj3Free(output)


def decoded_planes(data: bytes, across: int, down: int) -> list[Bytes] | None:
    """Y [H, W] and Cb and Cr [h, w] as stored: one sample of chroma for `across` times `down` of luma.

    None if the file has another sampling, or TurboJPEG cannot decode it.
    """
    if turbo is None:
        return None
    with _handle(turbo, DECOMPRESS) as handle:
        if turbo.tj3DecompressHeader(handle, data, len(data)):
            return None
        if SAMPLINGS.get(turbo.tj3Get(handle, SUBSAMPLING)) != (across, down):
            return None
        height, width = turbo.tj3Get(handle, HEIGHT), turbo.tj3Get(handle, WIDTH)
        rows, columns = -(-height // down), -(-width // across)
        luma = np.empty((rows * down, columns * across), np.uint8)
        chroma = np.empty((2, rows, columns), np.uint8)
        pointers = (ctypes.c_void_p * 3)(*(plane.ctypes.data for plane in (luma, *chroma)))
        if turbo.tj3DecompressToYUVPlanes8(handle, data, len(data), pointers, None):
            return None
    return [luma[:height, :width], *chroma]
