"""Between frames and the planes that color is made of.

Luma is never computed anew: the decoded Y plane is copied into the frame that goes to the encoder, at its own
bit depth. Chroma is made at the size of the chroma planes, so no full-size float plane ever exists.
"""

import re
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from colorcli.color.guided_filter import guided_upsample
from colorcli.color.ycbcr import BT601, Plane, fit_gamut, luma_of, rematrix, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.errors import RefusedError
from colorcli.video.color_detection import thumbnail
from colorcli.video.info import VideoInfo

Samples = NDArray[Any]
"""uint8, or uint16 for more than 8 bits."""

PLANAR_YUV = re.compile(r"yuv(a?)j?(420|422|444|440|411|410)p(\d*)(?:le)?")
PLANAR_RGB = re.compile(r"gbr(a?)p(\d*)(?:le)?")
PACKED_RGB = re.compile(r"(rgb24|bgr24|rgb0|bgr0|rgba|bgra)|(?:rgb|bgr)(48)le|(?:rgba|bgra)(64)le")
SHIFTS = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
"""Name -> log2 of how many luma samples share a chroma sample, across and down."""
BAND = 24
"""Rows fitted into the gamut at once: few enough that they stay in the processor's cache meanwhile."""


@dataclass(frozen=True)
class Layout:
    """A planar pixel format that frames are painted in."""

    name: str
    bits: int
    shift: tuple[int, int]
    alpha: bool
    rgb: bool

    @property
    def dtype(self) -> type[np.generic]:
        return np.uint8 if self.bits == 8 else np.uint16


def layout(name: str) -> Layout | None:
    """The layout of a planar format, None for any other."""
    if found := PLANAR_YUV.fullmatch(name):
        alpha, sampling, bits = found.groups()
        return Layout(name, int(bits or 8), SHIFTS[sampling], bool(alpha), rgb=False)
    if found := PLANAR_RGB.fullmatch(name):
        return Layout(name, int(found[2] or 8), (0, 0), bool(found[1]), rgb=True)
    return None


def packed_rgb(name: str) -> Layout | None:
    """The facts of a packed RGB format, which encoders take and nothing is painted in; None for any other."""
    if found := PACKED_RGB.fullmatch(name):
        return Layout(name, 8 if found[1] else 16, (0, 0), "a" in name, rgb=True)
    return None


def natural_layout(info: VideoInfo) -> Layout:
    """The planar layout that holds a film's frames without loss; gray gets 4:2:0, for its Y plane is all.

    Raises:
        RefusedError: there is none.
    """
    name = info.pix_fmt
    if "xyz" in name or "bayer" in name:
        raise RefusedError(info.source, f"{name} pictures are neither RGB nor Y'CbCr", "convert it first")
    form = av.VideoFormat(name)
    bits = max(8, max(component.bits for component in form.components))
    deep = f"{bits}le" if bits > 8 else ""
    alpha = "a" if any(component.is_alpha for component in form.components) else ""
    if info.is_rgb:
        found = layout(f"gbr{alpha}p{deep}")
    elif name.startswith(("gray", "ya", "mono")):
        found = layout(f"yuv{alpha}420p{deep}")
    else:
        shifts = (form.chroma_width(1 << 8), form.chroma_height(1 << 8))
        found = layout(f"yuv{alpha}{_sampling(shifts)}p{deep}")
    if found is None:
        raise RefusedError(info.source, f"pixel format {name} is not supported", "convert it first")
    return found


def _sampling(chroma_of_256: tuple[int, int]) -> str:
    across, down = (256 // size for size in chroma_of_256)
    for name, shift in SHIFTS.items():
        if (1 << shift[0], 1 << shift[1]) == (across, down):
            return name
    return ""


def samples(plane: VideoPlane, dtype: type[np.generic]) -> Samples:
    """A frame's plane as a writable view [H, W], its row padding left out."""
    rows: Samples = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows.view(dtype)[: plane.height, : plane.width]


def code_values(plane: Plane, bits: int, *, full: bool, into: Samples) -> None:
    """Chroma [H, W] in [-0.5, 0.5] to code values (H.273 equations 26 to 31), written to `into`."""
    scale = (1 << bits) - 1 if full else 224 << (bits - 8)
    middle = 1 << (bits - 1)
    if bits == 8:
        into[:] = cv2.convertScaleAbs(plane, alpha=scale, beta=middle)
    else:
        np.clip(np.rint(plane * scale + middle), 0, (1 << bits) - 1, out=into, casting="unsafe")


def unit_luma(values: Samples, bits: int, *, full: bool) -> Plane:
    """Luma code values to float32 in [0, 1]; footroom and headroom are clipped."""
    black, reach = (0, (1 << bits) - 1) if full else (16 << (bits - 8), 219 << (bits - 8))
    luma = values.astype(np.float32)
    luma -= black
    luma *= 1 / reach
    return np.clip(luma, 0, 1, out=luma)


@dataclass(frozen=True)
class View:
    """A picture as the network and the flow see it: a frame, or one field of it."""

    luma: Samples
    """Code values at the chroma planes' size (of RGB: in [0, 1], full size); of fields, each its own."""
    small: Plane
    """In [0, 1] at the network's working size."""


class FrameConverter:
    """Takes lumas from a film's frames and paints chroma into frames for the encoder.

    An interlaced frame is two pictures with half the lines each, in the order they were taken; frame_colorizer them
    as one would smear the colors of a moving thing over both its places.
    """

    def __init__(self, info: VideoInfo, target: Layout) -> None:
        self.info, self.target = info, target
        self._natural = target if target.rgb and not info.is_rgb else natural_layout(info)
        self._full = info.is_full_range
        top, bottom = slice(0, None, 2), slice(1, None, 2)
        self._fields = [slice(None)]
        if info.is_interlaced:
            self._fields = [bottom, top] if info.is_bottom_first else [top, bottom]

    @property
    def views_per_frame(self) -> int:
        return len(self._fields)

    def planar(self, frame: VideoFrame) -> VideoFrame:
        """The frame with its samples in planes, native endian, values as they were."""
        name = frame.format.name
        if layout(name) or re.fullmatch(r"(gray|ya)(8|\d+le)?", name):
            return frame
        if name.startswith(("gray", "ya")) and name.endswith("be"):
            return frame.reformat(format=f"{name[:-2]}le")
        return frame.reformat(format=self._natural.name)

    def views(self, frame: VideoFrame, working: tuple[int, int]) -> list[View]:
        """A planar frame's pictures; `working` is the working height and width of each."""
        luma = self._luma(frame)
        views = []
        for rows in self._fields:
            field = luma[rows]
            size = self._chroma_size(*field.shape)
            coarse = (
                field if size == field.shape else cv2.resize(field, size[::-1], interpolation=cv2.INTER_AREA)
            )
            small = cv2.resize(coarse, working[::-1], interpolation=cv2.INTER_AREA)
            views.append(View(coarse, unit_luma(small, self._natural.bits, full=self._full)))
        return views

    def thumbnail(self, frame: VideoFrame, views: list[View]) -> Plane | None:
        """Luma and chroma [3, h, w] for `ColorDetector`; None for gray, which has no color to sense."""
        if layout(frame.format.name) is None:
            return None
        luma, *chroma = (samples(plane, self._natural.dtype) for plane in frame.planes[:3])
        if luma.shape != chroma[0].shape:
            size = chroma[0].shape[::-1]
            luma = (
                views[0].luma
                if len(views) == 1 and views[0].luma.shape == chroma[0].shape
                else (cv2.resize(luma, size, interpolation=cv2.INTER_AREA))
            )
        return thumbnail([luma, *chroma], self._natural.bits)

    def paint(self, frame: VideoFrame, views: list[View], chromas: list[Plane] | None) -> VideoFrame:
        """The frame for the encoder: its own luma with BT.601 chroma [2, h, w] at working size per view.

        Without chromas it keeps its own colors.
        """
        if chromas is None:
            return self._keep(frame)
        painted = av.VideoFrame(frame.width, frame.height, self.target.name)
        dtype = self.target.dtype
        samples(painted.planes[0], dtype)[:] = samples(frame.planes[0], dtype)
        if self.target.alpha:
            samples(painted.planes[3], dtype)[:] = samples(frame.planes[-1], dtype)
        for rows, view, chroma in zip(self._fields, views, chromas, strict=True):
            planes = self._full_chroma(view, chroma)
            for index in (0, 1):
                target = samples(painted.planes[index + 1], dtype)[rows]
                code_values(planes[index], self.target.bits, full=self._full, into=target)
        return painted

    def without_color(self, frame: VideoFrame) -> VideoFrame:
        """The frame in gray, its luma untouched."""
        gray = av.VideoFrame(frame.width, frame.height, self.target.name)
        dtype = self.target.dtype
        samples(gray.planes[0], dtype)[:] = samples(frame.planes[0], dtype)
        for plane in gray.planes[1:3]:
            samples(plane, dtype)[:] = 1 << (self.target.bits - 1)
        if self.target.alpha:
            samples(gray.planes[3], dtype)[:] = samples(frame.planes[-1], dtype)
        return gray

    def _full_chroma(self, view: View, chroma: Plane) -> Plane:
        """Chroma of the film's matrix at the chroma planes' size, within the gamut."""
        matrix = self.info.matrix
        luma = unit_luma(view.luma, self._natural.bits, full=self._full)
        planes = guided_upsample(rematrix(chroma, BT601, matrix), view.small, luma)
        for top in range(0, luma.shape[0], BAND):
            rows = slice(top, top + BAND)
            planes[:, rows] = fit_gamut(luma[rows], planes[:, rows], matrix)
        return planes

    def _luma(self, frame: VideoFrame) -> Samples:
        return samples(frame.planes[0], self._natural.dtype)

    def _chroma_size(self, height: int, width: int) -> tuple[int, int]:
        across, down = self.target.shift
        return -(-height >> down), -(-width >> across)

    def _keep(self, frame: VideoFrame) -> VideoFrame:
        if layout(frame.format.name) is None:
            return self.without_color(frame)
        if frame.format.name.replace("yuvj", "yuv") == self.target.name:
            return frame
        return frame.reformat(format=self.target.name)


class RgbFrameConverter(FrameConverter):
    """The same for RGB: luma by BT.601's weights, as stills have it, and no chroma to subsample."""

    def planar(self, frame: VideoFrame) -> VideoFrame:
        """The frame as planar RGB; gray and Y'CbCr are converted."""
        return frame if frame.format.name == self._natural.name else frame.reformat(format=self._natural.name)

    def views(self, frame: VideoFrame, working: tuple[int, int]) -> list[View]:
        luma = luma_of(self._unit_rgb(frame), BT601)
        small = cv2.resize(luma, working[::-1], interpolation=cv2.INTER_AREA)
        return [View(luma, small)]

    def thumbnail(self, frame: VideoFrame, views: list[View]) -> Plane | None:
        green, blue, red = thumbnail(
            [samples(p, self._natural.dtype) for p in frame.planes[:3]], self._natural.bits
        )
        luma, chroma = ycbcr_from_rgb(np.stack([red, green, blue]), BT601)
        return np.concatenate([luma[None], chroma])

    def without_color(self, frame: VideoFrame) -> VideoFrame:
        return self.paint(frame, self.views(frame, (2, 2)), [np.zeros((2, 2, 2), np.float32)])

    def paint(self, frame: VideoFrame, views: list[View], chromas: list[Plane] | None) -> VideoFrame:
        if chromas is None:
            return self._keep(frame)
        (view,), (chroma,) = views, chromas
        fitted = fit_gamut(view.luma, guided_upsample(chroma, view.small, view.luma), BT601)
        red, green, blue = rgb_from_ycbcr(view.luma, fitted, BT601)
        painted = av.VideoFrame(frame.width, frame.height, self.target.name)
        top = (1 << self.target.bits) - 1
        for plane, values in zip(painted.planes[:3], (green, blue, red), strict=True):
            np.clip(np.rint(values * top), 0, top, out=samples(plane, self.target.dtype), casting="unsafe")
        if self.target.alpha:
            samples(painted.planes[3], self.target.dtype)[:] = samples(frame.planes[3], self.target.dtype)
        return painted

    def _unit_rgb(self, frame: VideoFrame) -> Plane:
        green, blue, red = (samples(plane, self._natural.dtype) for plane in frame.planes[:3])
        top = np.float32((1 << self._natural.bits) - 1)
        return np.stack([red, green, blue]).astype(np.float32) / top


def open_converter(info: VideoInfo, target: Layout) -> FrameConverter:
    return (RgbFrameConverter if target.rgb else FrameConverter)(info, target)


def side_by_side(left: VideoFrame, right: VideoFrame) -> VideoFrame:
    """Two frames of one format as one of twice the width."""
    form = layout(left.format.name.replace("yuvj", "yuv"))
    assert form is not None
    pair = av.VideoFrame(2 * left.width, left.height, form.name)
    for target, *sides in zip(pair.planes, left.planes, right.planes, strict=True):
        one, other = (samples(side, form.dtype) for side in sides)
        whole = samples(target, form.dtype)
        whole[:, : one.shape[1]] = one[:, : whole.shape[1]]
        whole[:, whole.shape[1] - other.shape[1] :] = other
    return pair
