"""HDR film as SDR, for `--tonemap`: BT.2100 PQ and HLG to BT.709.

Light is brought to linear (ITU-R BT.2100-2), set so that reference white, 203 cd/m2 (BT.2408), becomes SDR's
white, and highlights above are rolled off by Reinhard's extended curve on the brightest of R, G and B, which
keeps hues. Then primaries go to BT.709 and out through the inverse of BT.1886.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from colorcli.video.frame_converter import samples
from colorcli.video.info import LIMITED, VideoInfo

PQ, HLG = 16, 18
WHITE = 203.0
"""Nits of reference white."""
PEAK = 1000.0
"""Nits that become full white: what HDR is mostly graded for."""
TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""Linear BT.2020 R, G, B to BT.709 (ITU-R BT.2087-0)."""
BT709_TAG = 1
TOP = 65535


def sdr_info(info: VideoInfo) -> VideoInfo:
    """The facts of a film after tone-mapping."""
    return replace(info, range=LIMITED, matrix_tag=BT709_TAG, primaries=BT709_TAG, transfer=BT709_TAG)


class ToneMapper:
    """Turns HDR frames into SDR ones of the same size and format."""

    def __init__(self, info: VideoInfo) -> None:
        codes = np.arange(TOP + 1, dtype=np.float64) / TOP
        self._hlg = info.transfer == HLG
        self._light = (_hlg_light(codes) if self._hlg else _pq_light(codes)).astype(np.float32)
        self._format = info.pix_fmt

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """One frame out for one in; None, the end, gives nothing."""
        if frame is None:
            return
        rgb = frame.reformat(format="gbrp16le")
        green, blue, red = (self._light[samples(plane, np.uint16)] for plane in rgb.planes[:3])
        light = np.stack([red, green, blue])
        if self._hlg:  # the display's system gamma, on luminance (BT.2100 table 5)
            luminance = 0.2627 * light[0] + 0.678 * light[1] + 0.0593 * light[2]
            light *= np.power(np.maximum(luminance, 1e-6), 0.2) * np.float32(PEAK / WHITE)
        codes = np.rint(_shown(light) * TOP).astype(np.uint16)
        for plane, values in zip(rgb.planes[:3], (codes[1], codes[2], codes[0]), strict=True):
            samples(plane, np.uint16)[:] = values
        mapped = rgb.reformat(format=self._format, dst_colorspace="ITU709", dst_color_range="MPEG")
        mapped.pts, mapped.time_base = frame.pts, frame.time_base
        yield mapped


def _shown(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear BT.2020 light [3, H, W], reference white at 1, to BT.709 R'G'B' in [0, 1]."""
    brightest = np.maximum(light.max(axis=0), np.float32(1e-6))
    white = np.float32(PEAK / WHITE)
    light = light * ((1 + brightest / white**2) / (1 + brightest))
    narrow = np.tensordot(TO_BT709, light, axes=1)
    return np.power(np.clip(narrow, 0, 1), np.float32(1 / 2.4))


def _pq_light(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084: code values in [0, 1] to light, reference white at 1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(codes, 1 / m2)
    return 10000 / WHITE * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)


def _hlg_light(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100's HLG: code values in [0, 1] to scene light in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(codes <= 0.5, np.square(codes) / 3, (np.exp((codes - c) / a) + b) / 12)
