"""The two forms of a frame on its way through the stages: as the source gives it, and with its colors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from av.video.frame import VideoFrame

from colorcli.color.ycbcr import Plane
from colorcli.video.grade import UNGRADED, Grade
from colorcli.video.pixel_formats import Samples
from colorcli.video.temporal_colorizer import Keyframe


@dataclass(frozen=True)
class Timing:
    """When a frame is shown and for how long, in ticks of the video's time base."""

    pts: int
    duration: int


@dataclass(frozen=True)
class View:
    """What network and optical flow take: the luma of a frame, or of one field of an interlaced frame."""

    luma: Samples
    """Code values [h, w] at the chroma planes' size; of RGB video, luma [H, W] in [0, 1] at full size."""
    small: Plane
    """Luma [h, w] in [0, 1] at the network's working size."""


@dataclass(frozen=True)
class Findings:
    """What is found in a frame, whatever the options are: it depends on the frame and its neighbors alone."""

    cuts: tuple[bool, ...]
    """For each view, whether a cut lies before it."""
    has_color: bool = False
    own_cells: tuple[int, ...] = ()
    """Of a frame without color: the cells of `detection.GRID` with a small part that has, as a logo."""


@dataclass(frozen=True)
class Frame:
    """A frame of the source, and what is decided about it before it is colorized."""

    number: int
    """Counted from 0 at the start of the video, also when the beginning is trimmed."""
    timing: Timing
    picture: VideoFrame
    views: Sequence[View] = ()
    """One for each field, in the order of time."""
    findings: Findings | None = None
    keeps_color: bool = False
    """The frame has color already and keeps it."""
    shot_starts: Sequence[bool] = ()
    """For each view, whether a shot starts with it."""
    grade: Grade = UNGRADED
    """Changes to the predicted chroma."""

    @property
    def own_cells(self) -> tuple[int, ...]:
        """Where a frame that is colorized keeps the source's color; see `Findings`."""
        return () if self.findings is None or self.keeps_color else self.findings.own_cells

    @property
    def starts_shot(self) -> bool:
        return bool(self.shot_starts) and self.shot_starts[0]


@dataclass(frozen=True)
class Agreement:
    """How far predictions for the same things agree: the length of their mean, and their mean length."""

    mean: float = 0.0
    saturation: float = 0.0
    """Both as sums over keyframes."""

    @classmethod
    def of(cls, estimate: Plane) -> Self:
        """Of a keyframe's `estimate` [3, h, w]."""
        return cls(float(np.hypot(estimate[0], estimate[1]).mean()), float(estimate[2].mean()))

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(self.mean + other.mean, self.saturation + other.saturation)

    def share(self) -> float | None:
        """From 0 to 1; None where nothing has color."""
        return round(min(1.0, self.mean / self.saturation), 3) if self.saturation > 1e-6 else None


NO_PREDICTIONS = Agreement()


@dataclass(frozen=True)
class ColoredFrame:
    """A frame with its colors."""

    frame: Frame
    chromas: list[Plane] | None
    """BT.601 chroma [2, h, w] at the working size for each view; None if the frame keeps its color."""
    picture: VideoFrame
    """The source's picture; the converter replaces it by the picture for the encoder."""
    is_resumable: bool
    """Whether a run can continue after this frame from `keyframe` alone."""
    keyframe: Keyframe | None
    agreement: Agreement | None = None
    """Of the keyframe, or of all keyframes of a shot that is colorized already."""

    @property
    def starts_shot(self) -> bool:
        return self.frame.starts_shot
