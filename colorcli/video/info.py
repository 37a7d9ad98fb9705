"""The facts of a video's picture stream that colorizing needs and the output must keep."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from colorcli.color.ycbcr import BT601, BT709, BT2020, Matrix

SMPTE240M = Matrix(0.212, 0.087)
MATRICES = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 7: SMPTE240M, 9: BT2020, 10: BT2020}
"""ITU-T H.273 MatrixCoefficients that are Y'CbCr; 4 (FCC) is BT.601 to within a rounding."""
RGB, UNSPECIFIED, RESERVED = 0, 2, 3
"""MatrixCoefficients without a Y'CbCr matrix."""
PQ, HLG = 16, 18
"""TransferCharacteristics of H.273 that are HDR."""
LIMITED, FULL = 1, 2
"""AVColorRange; 0 is unspecified."""
PROGRESSIVE, TOP_FIRST, BOTTOM_FIRST = 1, (2, 4), (3, 5)
"""AVFieldOrder: tt 2, bb 3, tb 4, bt 5. The first letter is the field shown first, as ffmpeg, MediaInfo and
the frames' own flags have it; with two different letters the lines of both fields alternate in storage."""
_HDR_NAMES = {PQ: "PQ", HLG: "HLG"}


@dataclass(frozen=True)
class VideoInfo:
    """The picture stream of one video."""

    source: Path
    stream: int
    """Index of the stream in its container."""
    codec: str
    container: str
    """Name of the demuxer."""
    width: int
    height: int
    pix_fmt: str
    time_base: Fraction
    """Seconds per tick."""
    rate: Fraction
    """Average frames per second; the encoder's rate control uses it, timestamps do not."""
    frames: int | None
    """Number of frames by the header, None where it does not say."""
    sample_aspect: Fraction | None
    range: int
    """AVColorRange: 0 unspecified, 1 limited, 2 full."""
    matrix_tag: int
    """MatrixCoefficients of H.273."""
    primaries: int
    """ColorPrimaries of H.273."""
    transfer: int
    """TransferCharacteristics of H.273."""
    field_order: int
    """AVFieldOrder."""
    display_matrix: tuple[int, ...] | None
    """Rotation and mirroring: FFmpeg's nine fixed-point numbers."""

    @property
    def is_rgb(self) -> bool:
        return av.VideoFormat(self.pix_fmt).is_rgb or "pal8" in self.pix_fmt

    @property
    def is_full_range(self) -> bool:
        """Full range by its tag, or untagged gray or yuvj, which libswscale takes as full range."""
        full_by_name = self.pix_fmt.startswith(("yuvj", "gray", "ya", "mono"))
        return self.range == FULL or (self.range != LIMITED and full_by_name)

    @property
    def stated_range(self) -> int:
        """The range to state of the output, whose pixel format may not imply it as the source's does."""
        return FULL if self.is_full_range else self.range

    @property
    def matrix(self) -> Matrix:
        """The tagged matrix; players take untagged video as BT.601 up to 576 lines and as BT.709 above."""
        return MATRICES.get(self.matrix_tag, BT601 if self.height <= 576 else BT709)

    @property
    def hdr(self) -> str | None:
        """The name of the HDR transfer function, None for SDR."""
        return _HDR_NAMES.get(self.transfer)

    @property
    def is_interlaced(self) -> bool:
        return self.field_order > PROGRESSIVE

    @property
    def is_bottom_first(self) -> bool:
        """Whether the bottom field is the earlier one."""
        return self.field_order in BOTTOM_FIRST

    @property
    def frame_ticks(self) -> int:
        """Length of a frame at the average rate, in ticks."""
        return max(1, round(1 / (self.rate * self.time_base)))
