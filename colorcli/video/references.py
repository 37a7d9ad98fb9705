"""Frames that a person has colorized, by their names in a folder."""

import hashlib
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.pictures import SUFFIXES, read_opacity, read_picture
from colorcli.color.ycbcr import BT601, rematrix, ycbcr_from_rgb
from colorcli.errors import UsageError
from colorcli.video.info import VideoInfo
from colorcli.video.reference_pictures import is_unchanged
from colorcli.video.timecode import parse_timecode

_TIMECODE = re.compile(r"(\d{1,2})[-_.:h](\d{2})[-_.:m](\d{2})(?:([-_:])(\d{2})|\.(\d{1,3}))?$")


@dataclass(frozen=True)
class Reference:
    """A colorized picture of one frame."""

    frame: int
    path: Path

    def colors(self, shape: tuple[int, int], info: VideoInfo) -> Hints:
        """Its BT.601 chroma at the size [h, w], known where it is opaque.

        Raises:
            InputError: it cannot be read.
        """
        rgb = read_picture(self.path)
        opacity = read_opacity(self.path)
        if opacity is None or opacity.shape != rgb.shape[:2]:
            known, mask = (
                cv2.resize(rgb, shape[::-1], interpolation=cv2.INTER_AREA),
                np.ones(shape, np.float32),
            )
        else:
            layer = cv2.resize(rgb * opacity[..., None], shape[::-1], interpolation=cv2.INTER_AREA)
            mask = cv2.resize(opacity, shape[::-1], interpolation=cv2.INTER_AREA)
            known = layer / np.maximum(mask, np.float32(1e-3))[..., None]
        _, chroma = ycbcr_from_rgb(known.astype(np.float32).transpose(2, 0, 1) / 255, info.matrix)
        return Hints(rematrix(chroma, info.matrix, BT601), mask)

    def digest(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def find_references(folder: Path, rate: Fraction, *, required: bool = True) -> list[Reference]:
    """The pictures in a folder, by the frames in their names: `shot2_000123.png` or `00-01-02-12.png`.

    Frames that `colorcli refs` has written and nobody has changed since are not among them.

    Raises:
        UsageError: the folder does not exist, or two pictures are for the same frame; if `required`, no
            picture names a frame, or none was changed.
    """
    if not folder.is_dir():
        raise UsageError(folder, "is not a folder", "give --references a folder of colorized frames")
    found = []
    for path in sorted(folder.iterdir()):
        number = _frame_number(path.stem, rate) if path.suffix.lower() in SUFFIXES else None
        if number is not None:
            found.append(Reference(number, path))
    if required and not found:
        cause = "contains no picture whose name gives a frame"
        raise UsageError(folder, cause, "name them 000123.png or 00-01-02-12.png")
    changed = sorted(
        (one for one in found if not is_unchanged(one.path)), key=lambda one: (one.frame, one.path)
    )
    for one, other in pairwise(changed):
        if one.frame == other.frame:
            cause = f"is for frame {one.frame}, as {one.path.name} is"
            raise UsageError(other.path, cause, "leave one of them in the folder")
    if required and not changed:
        cause = "contains only frames as `colorcli refs` wrote them"
        raise UsageError(folder, cause, "paint over one, or leave --references out")
    return changed


def _frame_number(stem: str, rate: Fraction) -> int | None:
    """The frame that a name gives: a timecode, seconds to the thousandth, or the last number in it."""
    if found := _TIMECODE.search(stem):
        hours, minutes, seconds, _, frames, decimals = found.groups()
        clock = f"{hours}:{minutes}:{seconds}"
        point = parse_timecode(f"{clock}:{frames}" if frames else f"{clock}.{decimals or 0}", rate)
        return point.frame if point.frame is not None else round((point.seconds or 0) * rate)
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else None
