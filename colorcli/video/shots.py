"""The shots stage: decides about each frame before it is colorized."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from colorcli.color.detection import ColorDetector
from colorcli.video.frame_converter import FrameConverter
from colorcli.video.frames import Frame
from colorcli.video.shot_list import Shot, ShotList


class ShotAnalyzer:
    """Extracts each frame's luma, and decides by shot list and color detection whether it is colorized."""

    def __init__(
        self,
        converter: FrameConverter,
        working: tuple[int, int],
        shots: ShotList,
        detector: ColorDetector | None,
    ) -> None:
        """`working`: working height and width; `detector`: None to colorize frames that have color, too."""
        self._converter, self._working = converter, working
        self._shots, self._detector = shots, detector

    def run(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames with planar pictures, views and decisions."""
        for frame in frames:
            picture = self._converter.planar(frame.picture)
            frame = replace(frame, picture=picture, views=self._converter.views(picture, self._working))
            shot = self._shots.find(frame.number)
            yield replace(frame, keeps_color=self._has_color(frame)) if shot is None else _follow(shot, frame)

    def _has_color(self, frame: Frame) -> bool:
        if self._detector is None:
            return False
        thumbnail = self._converter.thumbnail(frame.picture, frame.views)
        return thumbnail is not None and self._detector.detect(*thumbnail)


def _follow(shot: Shot, frame: Frame) -> Frame:
    """A frame as the shot list wants it."""
    starts_shot = shot.start == frame.number
    return replace(frame, keeps_color=shot.skip, starts_shot=starts_shot, saturation=shot.saturation)
