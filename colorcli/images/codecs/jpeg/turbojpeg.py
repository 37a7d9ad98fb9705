"""TurboJPEG through ctypes: what the bindings in wheels leave out (turbojpeg.h, version 3 of the API)."""

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

DECOMPRESS, TRANSFORM = 1, 2
"""TJINIT_DECOMPRESS, TJINIT_TRANSFORM."""
WARNING = 0
"""TJERR_WARNING: a damaged file, of which something was read."""
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
    """The library inside of the wheel, or the system's own; None if neither is version 3."""
    for path in _paths():
        try:
            return _declared(ctypes.CDLL(path))
        except (OSError, AttributeError):  # Windows exports no symbols of a linked library
            continue
    return None


def _paths() -> Iterator[str]:
    with suppress(ImportError):
        import turbojpeg  # built for Python 3.11 to 3.13 only, and not for Linux on ARM

        yield turbojpeg.__file__
    if system := ctypes.util.find_library("turbojpeg"):
        yield system


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with its functions' types; raises AttributeError if one is missing."""
    library.tj3Init.restype = ctypes.c_void_p
    pointer, size, whole = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.tj3Transform.argtypes = [
        pointer, ctypes.c_char_p, size, whole, pointer, pointer, ctypes.POINTER(_Transform)
    ]  # fmt: skip
    library.tj3DecompressHeader.argtypes = [pointer, ctypes.c_char_p, size]
    library.tj3DecompressToYUVPlanes8.argtypes = [pointer, ctypes.c_char_p, size, pointer, pointer]
    library.tj3Get.argtypes = [pointer, whole]
    for function in (library.tj3Free, library.tj3Destroy, library.tj3GetErrorCode):
        function.argtypes = [pointer]
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
    """A gray JPEG of the luma, and whether chroma is known to be 0; None if TurboJPEG cannot make it.

    One pass over the entropy-coded data does both. A second one reads what TurboJPEG warns of, which may be
    no more than stray bytes.
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

    luma = _Transform(options=_Transform.GRAY | _Transform.COPY_NONE)
    if progressive:
        luma.options |= _Transform.PROGRESSIVE
    chroma = _Transform(options=_Transform.NO_OUTPUT, filter=_FILTER(inspect))
    extracted = _transformed(turbo, data, luma, chroma)
    if extracted:
        return extracted, not colored
    extracted = _transformed(turbo, data, luma, damaged=True)
    return (extracted, False) if extracted else None


def salvaged(data: bytes) -> bytes | None:
    """A sound JPEG of all coefficients and metadata that can be read of a damaged one; None if nothing can.

    What is missing is 0: mid-gray, or in progressive files less sharp.
    """
    return _transformed(turbo, data, _Transform(), damaged=True) if turbo else None


def _transformed(
    library: ctypes.CDLL, data: bytes, *transforms: _Transform, damaged: bool = False
) -> bytes | None:
    """What the first transform makes of `data`; None if TurboJPEG fails, or warns unless `damaged`."""
    count = len(transforms)
    outputs, sizes = (ctypes.c_void_p * count)(), (ctypes.c_size_t * count)()
    with _handle(library, TRANSFORM) as handle:
        try:
            failed = library.tj3Transform(
                handle, data, len(data), count, outputs, sizes, (_Transform * count)(*transforms)
            )
            accepted = not failed or (damaged and library.tj3GetErrorCode(handle) == WARNING)
            return ctypes.string_at(outputs[0], sizes[0]) if accepted and outputs[0] else None
        finally:
            for output in outputs:
                library.tj3Free(output)


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
