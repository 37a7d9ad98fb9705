"""Pixel formats: which planar layout holds a video's samples, and the samples as arrays."""

import math
import re
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane
from colorcli.errors import RefusedError
from colorcli.video.info import VideoInfo

Samples = NDArray[Any]
"""Code values: uint8, or uint16 for more than 8 bits."""

SHIFTS = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
"""Chroma subsampling -> log2 of the luma samples per chroma sample, horizontally and vertically."""
_PLANAR_YUV = re.compile(r"yuv(a?)j?(420|422|444|440|411|410)p(\d*)(?:le)?")
_PLANAR_RGB = re.compile(r"gbr(a?)p(\d*)(?:le)?")
_PACKED_RGB = re.compile(r"(rgb24|bgr24|rgb0|bgr0|rgba|bgra)|(?:rgb|bgr)(48)le|(?:rgba|bgra)(64)le")
_GRAY = re.compile(r"gray(8|\d+le)?")


@dataclass(frozen=True)
class Layout:
    """A pixel format's layout in memory."""

    name: str
    bits: int
    """Bits per sample."""
    shift: tuple[int, int]
    """log2 of the luma samples per chroma sample, horizontally and vertically."""
    alpha: bool
    rgb: bool

    @property
    def dtype(self) -> type[np.generic]:
        return np.uint8 if self.bits == 8 else np.uint16

    def chroma_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the chroma planes of a picture."""
        across, down = self.shift
        return -(-height >> down), -(-width >> across)

    def picture_bytes(self, height: int, width: int) -> int:
        """Memory that the planes of a planar picture take."""
        count = height * width * (2 if self.alpha else 1) + 2 * math.prod(self.chroma_shape(height, width))
        return count * np.dtype(self.dtype).itemsize


def planar_layout(name: str) -> Layout | None:
    """The layout of a planar Y'CbCr or RGB format, None for any other."""
    if found := _PLANAR_YUV.fullmatch(name):
        alpha, sampling, bits = found.groups()
        return Layout(name, int(bits or 8), SHIFTS[sampling], bool(alpha), rgb=False)
    if found := _PLANAR_RGB.fullmatch(name):
        return Layout(name, int(found[2] or 8), (0, 0), bool(found[1]), rgb=True)
    return None


def packed_layout(name: str) -> Layout | None:
    """The layout of a packed RGB format, which some encoders take; None for any other."""
    if found := _PACKED_RGB.fullmatch(name):
        return Layout(name, 8 if found[1] else 16, (0, 0), "a" in name, rgb=True)
    return None


def rgb_layout(bits: int, *, alpha: bool) -> Layout:
    """Planar RGB."""
    return Layout(f"gbr{'a' if alpha else ''}p{_depth(bits)}", bits, (0, 0), alpha, rgb=True)


def yuv_layout(bits: int, shift: tuple[int, int], *, alpha: bool) -> Layout | None:
    """Planar Y'CbCr; None if no format has this subsampling."""
    sampling = next((name for name, value in SHIFTS.items() if value == shift), None)
    return planar_layout(f"yuv{'a' if alpha else ''}{sampling}p{_depth(bits)}") if sampling else None


def natural_layout(info: VideoInfo) -> Layout:
    """The planar layout that holds a video's frames without loss.

    Gray video gets 4:2:0, the smallest layout with chroma planes.

    Raises:
        RefusedError: no planar layout holds this format.
    """
    name = info.pix_fmt
    if "xyz" in name or "bayer" in name:
        raise RefusedError(info.source, f"{name} pictures are neither RGB nor Y'CbCr", "convert it first")
    if name.endswith(("f32le", "f32be", "f16le", "f16be")):
        cause = f"{name} pictures have floating-point samples"
        raise RefusedError(info.source, cause, "convert it first, as with ffmpeg -pix_fmt gbrp16le")
    form = av.VideoFormat(name)
    bits = max(8, max(component.bits for component in form.components))
    alpha = has_alpha(name)
    if info.is_rgb:
        return rgb_layout(bits, alpha=alpha)
    if name.startswith(("gray", "ya", "mono")):
        shift = (1, 1)
    else:
        shift = (9 - form.chroma_width(256).bit_length(), 9 - form.chroma_height(256).bit_length())
    found = yuv_layout(bits, shift, alpha=alpha)
    if found is None:
        raise RefusedError(info.source, f"pixel format {name} is not supported", "convert it first")
    return found


def has_alpha(name: str) -> bool:
    """Whether a pixel format has transparency."""
    return any(component.is_alpha for component in av.VideoFormat(name).components)


def is_gray(name: str) -> bool:
    """Whether a format has luma and no chroma, in native-endian samples."""
    return _GRAY.fullmatch(name) is not None


def samples(plane: VideoPlane, dtype: type[np.generic]) -> Samples:
    """A frame's plane as a writable view [H, W] without its row padding."""
    rows: Samples = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows.view(dtype)[: plane.height, : plane.width]


def all_samples(frame: VideoFrame, layout: Layout) -> list[Samples]:
    """Every plane of a planar frame as a writable view."""
    return [samples(plane, layout.dtype) for plane in frame.planes]


def write_chroma(plane: Plane, bits: int, *, full: bool, into: Samples) -> None:
    """Write chroma [H, W] in [-0.5, 0.5] as code values (ITU-T H.273, equations 26 to 31).

    Args:
        full: whether the video has full range.
    """
    scale, neutral = _chroma_range(bits, full=full)
    if bits == 8:
        into[:] = cv2.convertScaleAbs(plane, alpha=scale, beta=neutral)
    else:
        np.clip(np.rint(plane * scale + neutral), 0, (1 << bits) - 1, out=into, casting="unsafe")


def unit_chroma(values: Samples, bits: int, *, full: bool) -> Plane:
    """Chroma code values as float32 in about [-0.5, 0.5]."""
    scale, neutral = _chroma_range(bits, full=full)
    return (values.astype(np.float32) - np.float32(neutral)) * np.float32(1 / scale)


def unit_luma(values: Samples, bits: int, *, full: bool) -> Plane:
    """Luma code values as float32 in [0, 1]; footroom and headroom are clipped."""
    black, span = (0, (1 << bits) - 1) if full else (16 << (bits - 8), 219 << (bits - 8))
    luma = values.astype(np.float32)
    luma -= black
    luma *= 1 / span
    return np.clip(luma, 0, 1, out=luma)


def _chroma_range(bits: int, *, full: bool) -> tuple[int, int]:
    """Code values from -0.5 to 0.5, and the code value of 0."""
    return (1 << bits) - 1 if full else 224 << (bits - 8), 1 << (bits - 1)


def _depth(bits: int) -> str:
    return f"{bits}le" if bits > 8 else ""
