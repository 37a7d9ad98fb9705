"""What the report has of a shot. It is stored with the shot's segment, for the report of a later run."""

import base64
from dataclasses import asdict, dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane, fit_gamut, rgb_from_ycbcr
from colorcli.video.frames import NO_PREDICTIONS, Agreement, ColoredFrame
from colorcli.video.info import VideoInfo
from colorcli.video.shot_frames import OpenShot

SIDE = 320
"""Longest side of the pictures in pixels: two thousand shots make a page of some 30 MB."""
QUALITY = 60


@dataclass(frozen=True)
class ShownFrame:
    """The frame that may stand for a shot, as two small pictures in the film's display aspect."""

    number: int
    keeps_color: bool
    before: str
    """In gray: a WebP as base64."""
    after: str
    """In color."""

    @classmethod
    def of(cls, colored: ColoredFrame, info: VideoInfo) -> Self:
        frame, size = colored.frame, _size(info)
        small = frame.views[0].small
        gray = np.zeros((2, *small.shape), np.float32)
        if colored.chromas is not None:
            after: NDArray[Any] = _rgb(small, colored.chromas[0])
        else:
            after = frame.picture.to_ndarray(format="rgb24", width=size[0], height=size[1])
        return cls(frame.number, frame.keeps_color, _coded(_rgb(small, gray), size), _coded(after, size))


@dataclass
class ShotSummary(OpenShot[ShownFrame]):
    """A shot, as far as it has been colorized."""

    agreement: Agreement = NO_PREDICTIONS

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        candidates = [(place, asdict(shown)) for place, shown in self.candidates]
        return {**vars(self), "candidates": candidates, "agreement": asdict(self.agreement)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Raises KeyError or TypeError if it is damaged."""
        candidates = [(place, ShownFrame(**shown)) for place, shown in stored["candidates"]]
        return cls(stored["start"], stored["last"], candidates, Agreement(**stored["agreement"]))


def _size(info: VideoInfo) -> tuple[int, int]:
    """Width and height of the small pictures."""
    width = float(info.width * (info.sample_aspect or 1))
    scale = SIDE / max(width, info.height)
    return max(1, round(width * scale)), max(1, round(info.height * scale))


def _rgb(luma: Plane, chroma: Plane) -> NDArray[np.uint8]:
    """Luma [h, w] with BT.601 chroma [2, h, w] as RGB [h, w, 3]."""
    rgb = rgb_from_ycbcr(luma, fit_gamut(luma, chroma)).transpose(1, 2, 0)
    return np.rint(255 * np.clip(rgb, 0, 1)).astype(np.uint8)


def _coded(rgb: NDArray[Any], size: tuple[int, int]) -> str:
    """RGB [h, w, 3] as a WebP of this width and height, in base64."""
    pixels = cv2.resize(rgb[..., ::-1], size, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return base64.b64encode(coded.tobytes()).decode()
