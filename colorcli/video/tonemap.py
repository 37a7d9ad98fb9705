"""HDR to SDR for `--tonemap`: BT.2100 PQ and HLG to BT.709.

Code values become linear light (ITU-R BT.2100-2), scaled so that reference white, 203 cd/m2 (BT.2408), is SDR
white. Highlights above it are compressed by Reinhard's extended curve on the largest of R, G and B, which
keeps hues. Then the primaries are converted to BT.709, and the inverse of BT.1886 gives code values.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from colorcli.video.info import HLG, LIMITED, VideoInfo
from colorcli.video.pixel_formats import samples

WHITE = 203.0
"""cd/m2 of reference white."""
PEAK = 1000.0
"""cd/m2 that become full white: what most HDR video is graded for."""
TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""Linear BT.2020 R, G, B to BT.709 (ITU-R BT.2087-0)."""
BT709_TAG = 1
_PEAK_CODE = 65535


def sdr_info(info: VideoInfo) -> VideoInfo:
    """The facts of a video after tone mapping."""
    return replace(info, range=LIMITED, matrix_tag=BT709_TAG, primaries=BT709_TAG, transfer=BT709_TAG)


class ToneMapper:
    """Converts HDR frames to SDR ones of the same size and pixel format."""

    def __init__(self, info: VideoInfo) -> None:
        codes = np.arange(_PEAK_CODE + 1, dtype=np.float64) / _PEAK_CODE
        self._hlg = info.transfer == HLG
        self._light = (_hlg_light(codes) if self._hlg else _pq_light(codes)).astype(np.float32)
        self._format = info.pix_fmt

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """One frame out for each in; nothing for None, the end."""
        if frame is None:
            return
        rgb = frame.reformat(format="gbrp16le")
        green, blue, red = (self._light[samples(plane, np.uint16)] for plane in rgb.planes[:3])
        light = np.stack([red, green, blue])
        if self._hlg:  # the display's system gamma on luminance (BT.2100, table 5)
            luminance = 0.2627 * light[0] + 0.678 * light[1] + 0.0593 * light[2]
            light *= np.power(np.maximum(luminance, 1e-6), 0.2) * np.float32(PEAK / WHITE)
        codes = np.rint(_display(light) * _PEAK_CODE).astype(np.uint16)
        for plane, values in zip(rgb.planes[:3], (codes[1], codes[2], codes[0]), strict=True):
            samples(plane, np.uint16)[:] = values
        mapped = rgb.reformat(format=self._format, dst_colorspace="ITU709", dst_color_range="MPEG")
        mapped.pts, mapped.time_base = frame.pts, frame.time_base
        yield mapped


def _display(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear BT.2020 light [3, H, W], reference white at 1, to BT.709 R'G'B' in [0, 1]."""
    brightest = np.maximum(light.max(axis=0), np.float32(1e-6))
    white = np.float32(PEAK / WHITE)
    light = light * ((1 + brightest / white**2) / (1 + brightest))
    bt709 = np.tensordot(TO_BT709, light, axes=1)
    return np.power(np.clip(bt709, 0, 1), np.float32(1 / 2.4))


def _pq_light(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084: code values in [0, 1] to light, reference white at 1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(codes, 1 / m2)
    return 10000 / WHITE * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)


def _hlg_light(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100's HLG: code values in [0, 1] to scene light in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(codes <= 0.5, np.square(codes) / 3, (np.exp((codes - c) / a) + b) / 12)
