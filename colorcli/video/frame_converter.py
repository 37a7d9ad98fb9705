"""Between pictures and planes: luma for the network, and colorized pictures for the encoder.

Luma is never recomputed: the decoded Y plane is copied into the encoder's picture at its own bit depth.
Chroma is computed at the chroma planes' size, so no full-size float plane is ever needed.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from colorcli.color.guided_filter import guided_upsample
from colorcli.color.ycbcr import BT601, Plane, fit_gamut, luma_of, rematrix, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.video.frames import ColoredFrame, View
from colorcli.video.info import VideoInfo
from colorcli.video.own_color import OwnColor
from colorcli.video.pixel_formats import (
    Layout,
    Samples,
    all_samples,
    is_gray,
    natural_layout,
    planar_layout,
    samples,
    unit_chroma,
    unit_luma,
    write_chroma,
)

_BAND = 24
"""Rows fitted into the gamut at once: few enough that they stay in the processor's cache."""
_THUMBNAIL = (64, 48)
"""Columns and rows that thumbnails have at least."""


class FrameConverter:
    """Takes luma from a video's pictures, and makes pictures for the encoder from chroma.

    The two fields of an interlaced frame are separate pictures of half the lines, in the order of time;
    treated as one, the colors of a moving object would smear over both its positions.
    """

    def __init__(self, info: VideoInfo, target: Layout, *, compare: bool = False) -> None:
        """`target`: layout of the encoder's pictures; `compare`: put gray and color side by side in them."""
        self.info, self.target, self._compare = info, target, compare
        self._natural = target if target.rgb and not info.is_rgb else natural_layout(info)
        self._full = info.is_full_range
        top, bottom = slice(0, None, 2), slice(1, None, 2)
        self._fields = [slice(None)]
        if info.is_interlaced:
            self._fields = [bottom, top] if info.is_bottom_first else [top, bottom]

    @property
    def view_bytes(self) -> int:
        """Memory that a planar picture and its views take, for each view."""
        height, width = self.info.height, self.info.width
        picture = self._natural.picture_bytes(height, width)
        return (picture + self._view_luma_bytes(height, width)) // len(self._fields)

    def planar(self, picture: VideoFrame) -> VideoFrame:
        """The picture with planar, native-endian samples of the same values."""
        name = picture.format.name
        if planar_layout(name) or is_gray(name):
            return picture
        if name.startswith("gray") and name.endswith("be"):
            return picture.reformat(format=f"{name[:-2]}le")
        if name.startswith("ya"):
            return _without_packing(picture, self._natural)
        return picture.reformat(format=self._natural.name)

    def views(self, picture: VideoFrame, working: tuple[int, int]) -> list[View]:
        """A planar picture's views; `working` is the working height and width."""
        luma = samples(picture.planes[0], self._natural.dtype)
        views = []
        for rows in self._fields:
            field = luma[rows]
            size = self.target.chroma_shape(*field.shape)
            coarse = field
            if size != field.shape:
                coarse = cv2.resize(field, size[::-1], interpolation=cv2.INTER_AREA)
            small = cv2.resize(coarse, working[::-1], interpolation=cv2.INTER_AREA)
            views.append(View(coarse, unit_luma(small, self._natural.bits, full=self._full)))
        return views

    def thumbnail(self, picture: VideoFrame, views: Sequence[View]) -> tuple[Plane, Plane] | None:
        """A planar picture's luma [h, w] and chroma [2, h, w], small; None if it is gray."""
        if planar_layout(picture.format.name) is None:
            return None
        luma, *chroma = all_samples(picture, self._natural)[:3]
        if luma.shape != chroma[0].shape:
            size = chroma[0].shape[::-1]
            is_at_hand = len(views) == 1 and views[0].luma.shape == chroma[0].shape
            luma = views[0].luma if is_at_hand else cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        luma, *chroma = _shrink([luma, *chroma])
        bits = self._natural.bits
        unit = [unit_chroma(plane, bits, full=self._full) for plane in chroma]
        return unit_luma(luma, bits, full=self._full), np.stack(unit)

    def convert(self, colored: ColoredFrame) -> ColoredFrame:
        """Give a frame its picture for the encoder."""
        frame = colored.frame
        picture = self.colorize(frame.picture, frame.views, colored.chromas, frame.own_cells)
        if self._compare:
            picture = side_by_side(self.without_color(frame.picture), picture)
        return replace(colored, picture=picture)

    def colorize(
        self,
        picture: VideoFrame,
        views: Sequence[View],
        chromas: list[Plane] | None,
        own_cells: Sequence[int] = (),
    ) -> VideoFrame:
        """A picture for the encoder: a planar picture's own luma with new chroma.

        Args:
            chromas: BT.601 chroma [2, h, w] at the working size for each view; None to keep the picture's
                color.
            own_cells: of `detection.GRID`, where a small part of the picture keeps its color.
        """
        if chromas is None:
            return self._with_own_color(picture)
        result = self._with_luma_of(picture)
        chroma_planes = [samples(plane, self.target.dtype) for plane in result.planes[1:3]]
        own = OwnColor(self._own_chroma(picture), own_cells) if own_cells else None
        for rows, view, chroma in zip(self._fields, views, chromas, strict=True):
            planes = self._upsample(view, chroma)
            if own is not None:
                own.put_into(planes, rows)
            for target, plane in zip(chroma_planes, planes, strict=True):
                write_chroma(plane, self.target.bits, full=self._full, into=target[rows])
        return result

    def without_color(self, picture: VideoFrame) -> VideoFrame:
        """The picture in gray, its luma unchanged."""
        gray = self._with_luma_of(picture)
        for plane in gray.planes[1:3]:
            samples(plane, self.target.dtype)[:] = 1 << (self.target.bits - 1)
        return gray

    def _view_luma_bytes(self, height: int, width: int) -> int:
        shape = self.target.chroma_shape(height, width)
        is_shared = shape == (height, width)
        return 0 if is_shared else math.prod(shape) * np.dtype(self._natural.dtype).itemsize

    def _with_luma_of(self, picture: VideoFrame) -> VideoFrame:
        """A new picture with the luma and alpha of another; its chroma is not set."""
        result = av.VideoFrame(picture.width, picture.height, self.target.name)
        copied = [(0, 0), (3, -1)] if self.target.alpha else [(0, 0)]
        for to, source in copied:
            plane = samples(picture.planes[source], self.target.dtype)
            samples(result.planes[to], self.target.dtype)[:] = plane
        return result

    def _own_chroma(self, picture: VideoFrame) -> Plane:
        """A picture's chroma [2, h, w] in the video's matrix, at the size of the encoder's chroma planes."""
        size = self.target.chroma_shape(picture.height, picture.width)[::-1]
        chroma = [
            unit_chroma(plane, self._natural.bits, full=self._full)
            for plane in all_samples(picture, self._natural)[1:3]
        ]
        return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in chroma])

    def _upsample(self, view: View, chroma: Plane) -> Plane:
        """Chroma in the video's matrix at the chroma planes' size, within the gamut."""
        matrix = self.info.matrix
        luma = unit_luma(view.luma, self._natural.bits, full=self._full)
        planes = guided_upsample(rematrix(chroma, BT601, matrix), view.small, luma)
        for top in range(0, luma.shape[0], _BAND):
            rows = slice(top, top + _BAND)
            planes[:, rows] = fit_gamut(luma[rows], planes[:, rows], matrix)
        return planes

    def _with_own_color(self, picture: VideoFrame) -> VideoFrame:
        if planar_layout(picture.format.name) is None:
            return self.without_color(picture)
        if picture.format.name.replace("yuvj", "yuv") == self.target.name:
            return picture
        return picture.reformat(format=self.target.name)


class RgbFrameConverter(FrameConverter):
    """The same for RGB video: luma has BT.601's weights, as in images, and chroma is not subsampled."""

    def planar(self, picture: VideoFrame) -> VideoFrame:
        """The picture as planar RGB; gray and Y'CbCr are converted."""
        name = self._natural.name
        return picture if picture.format.name == name else picture.reformat(format=name)

    def views(self, picture: VideoFrame, working: tuple[int, int]) -> list[View]:
        luma = luma_of(self._unit_rgb(all_samples(picture, self._natural)), BT601)
        return [View(luma, cv2.resize(luma, working[::-1], interpolation=cv2.INTER_AREA))]

    def thumbnail(self, picture: VideoFrame, views: Sequence[View]) -> tuple[Plane, Plane] | None:
        return ycbcr_from_rgb(self._unit_rgb(_shrink(all_samples(picture, self._natural)[:3])), BT601)

    def without_color(self, picture: VideoFrame) -> VideoFrame:
        return self.colorize(picture, self.views(picture, (2, 2)), [np.zeros((2, 2, 2), np.float32)])

    def colorize(
        self,
        picture: VideoFrame,
        views: Sequence[View],
        chromas: list[Plane] | None,
        own_cells: Sequence[int] = (),
    ) -> VideoFrame:
        if chromas is None:
            return self._with_own_color(picture)
        (view,), (chroma,) = views, chromas
        fitted = fit_gamut(view.luma, guided_upsample(chroma, view.small, view.luma), BT601)
        if own_cells:
            OwnColor(self._own_chroma(picture), own_cells).put_into(fitted, slice(None))
        red, green, blue = rgb_from_ycbcr(view.luma, fitted, BT601)
        result = av.VideoFrame(picture.width, picture.height, self.target.name)
        planes = all_samples(result, self.target)
        highest = (1 << self.target.bits) - 1
        for plane, values in zip(planes, (green, blue, red), strict=False):
            np.clip(np.rint(values * highest), 0, highest, out=plane, casting="unsafe")
        if self.target.alpha:
            planes[3][:] = samples(picture.planes[3], self.target.dtype)
        return result

    def _own_chroma(self, picture: VideoFrame) -> Plane:
        return ycbcr_from_rgb(self._unit_rgb(all_samples(picture, self._natural)), BT601)[1]

    def _view_luma_bytes(self, height: int, width: int) -> int:
        return height * width * np.dtype(np.float32).itemsize

    def _unit_rgb(self, planes: Sequence[Samples]) -> Plane:
        """G, B, R code values (the planes' order) -> R'G'B' [3, h, w] in [0, 1]."""
        green, blue, red = planes[:3]
        highest = np.float32((1 << self._natural.bits) - 1)
        return np.stack([red, green, blue]).astype(np.float32) / highest


def open_converter(info: VideoInfo, target: Layout, *, compare: bool = False) -> FrameConverter:
    """The converter for a video."""
    return (RgbFrameConverter if target.rgb else FrameConverter)(info, target, compare=compare)


def _without_packing(picture: VideoFrame, layout: Layout) -> VideoFrame:
    """A picture of interleaved luma and alpha with each in a plane of its own, and neutral chroma."""
    big_endian = picture.format.name.endswith("be")
    dtype = np.dtype(layout.dtype).newbyteorder(">" if big_endian else "<")
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size).view(dtype)
    packed = rows[: picture.height, : 2 * picture.width]
    result = av.VideoFrame(picture.width, picture.height, layout.name)
    luma, *chroma, alpha = all_samples(result, layout)
    luma[:], alpha[:] = packed[:, 0::2], packed[:, 1::2]
    for values in chroma:
        values[:] = 1 << (layout.bits - 1)
    return result


def side_by_side(left: VideoFrame, right: VideoFrame) -> VideoFrame:
    """Two pictures of one format as one of twice the width."""
    layout = planar_layout(left.format.name.replace("yuvj", "yuv"))
    assert layout is not None
    pair = av.VideoFrame(2 * left.width, left.height, layout.name)
    for target, *halves in zip(pair.planes, left.planes, right.planes, strict=True):
        one, other = (samples(half, layout.dtype) for half in halves)
        whole = samples(target, layout.dtype)
        whole[:, : one.shape[1]] = one[:, : whole.shape[1]]
        whole[:, whole.shape[1] - other.shape[1] :] = other
    return pair


def _shrink(planes: list[Samples]) -> list[Samples]:
    """Planes of one size at about the thumbnails' size.

    The factor is whole, with which OpenCV is many times faster than with any other.
    """
    height, width = planes[0].shape
    factor = max(1, min(width // _THUMBNAIL[0], height // _THUMBNAIL[1]))
    size = (width // factor, height // factor)
    cut = [plane[: size[1] * factor, : size[0] * factor] for plane in planes]
    return [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in cut]
