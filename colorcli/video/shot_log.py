"""Reports each shot of a film when it is colorized, with a small picture before and after."""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane, fit_gamut, rgb_from_ycbcr
from colorcli.events import ShotDone, Sink
from colorcli.video.frames import ColoredFrame
from colorcli.video.info import VideoInfo
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shot_frames import OpenShot
from colorcli.video.shot_list import ShotList
from colorcli.video.shot_memory import Memory

SIDE = 320
"""Longest side of the pictures in pixels: two thousand shots make a page of some 30 MB."""
QUALITY = 60


class ShotLog:
    """Watches colorized frames go by."""

    def __init__(
        self, video: CheckedVideo, shots: ShotList, report: Sink, done: int = 0, memory: Memory | None = None
    ) -> None:
        """`done`: shots that an earlier run has finished."""
        self._video, self._shots, self._report = video, shots, report
        self._done = done
        self._recalled = {} if memory is None else memory.recalled
        self._shot: OpenShot[_Shown] | None = None
        self._agreement = _Agreement()

    def watch(self, frames: Iterable[ColoredFrame]) -> Iterator[ColoredFrame]:
        """The same frames; a shot is reported when the next one begins or the frames end."""
        for colored in frames:
            self._add(colored)
            yield colored
        self._end()

    def _add(self, colored: ColoredFrame) -> None:
        if colored.starts_shot:
            self._end()
            self._shot = OpenShot(colored, lambda one: _Shown(one, self._video.info))
            self._agreement = _Agreement()
        elif self._shot is not None:  # else it began in an earlier run
            self._shot.add(colored)
        if colored.keyframe is not None:
            self._agreement.add(colored.keyframe.estimate)

    def _end(self) -> None:
        if self._shot is None:
            return
        start, end, shown = self._shot.start, self._shot.last + 1, self._shot.shown()
        self._done += 1
        self._report(
            ShotDone(
                self._video.name, self._done, start, end, float(self._video.info.rate),
                self._decided(start, end, keeps_color=shown.keeps_color),
                None if shown.keeps_color else self._agreement.share(),
                shown.number, (self._video.info.width, self._video.info.height), shown.before, shown.after,
            )
        )  # fmt: skip
        self._shot = None

    def _decided(self, start: int, end: int, *, keeps_color: bool) -> str:
        row = self._shots.find(start)
        by_list = row is not None and row.start == start
        begins = "first shot" if start == 0 else "shot list" if by_list else "cut"
        parts = [begins, *(["keeps its color"] if keeps_color else [])]
        if row is not None and str(row.grade):
            parts.append(str(row.grade))
        if row is not None and row.reference:
            parts.append(f"palette of {row.reference}")
        if remembered := self._recalled.get(start):
            parts.append(f"memory of the shot at frame {', '.join(map(str, remembered))}")
        return ", ".join(parts + self._video.given.words(start, end))


class _Agreement:
    """How far predictions for the same things agree: the length of their mean, by their mean length."""

    def __init__(self) -> None:
        self._mean = self._saturation = 0.0

    def add(self, estimate: Plane) -> None:
        """Add a keyframe's `Keyframe.estimate` [3, h, w]."""
        self._mean += float(np.hypot(estimate[0], estimate[1]).mean())
        self._saturation += float(estimate[2].mean())

    def share(self) -> float | None:
        """From 0 to 1; None where nothing has color."""
        return round(min(1.0, self._mean / self._saturation), 3) if self._saturation > 1e-6 else None


class _Shown:
    """The frame that may stand for a shot, as two small pictures in the film's display aspect."""

    def __init__(self, colored: ColoredFrame, info: VideoInfo) -> None:
        view = colored.frame.views[0]
        size = _size(info)
        self.number = colored.frame.number
        self.keeps_color = colored.frame.keeps_color
        gray = np.zeros((2, *view.small.shape), np.float32)
        self.before = _coded(_rgb(view.small, gray), size)
        if colored.chromas is not None:
            self.after = _coded(_rgb(view.small, colored.chromas[0]), size)
        else:
            picture = colored.frame.picture
            self.after = _coded(picture.to_ndarray(format="rgb24", width=size[0], height=size[1]), size)


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
