"""The shots stage: decides about each frame before it is colorized."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from colorcli.color.detection import ColorDetector, FrameChroma
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
        """The frames with planar pictures, views and decisions, one frame behind the source."""
        before: FrameChroma | None = None
        waiting: tuple[Frame, FrameChroma | None] | None = None
        for frame in frames:
            picture = self._converter.planar(frame.picture)
            frame = replace(frame, picture=picture, views=self._converter.views(picture, self._working))
            chroma = self._chroma(frame)
            if waiting is not None:
                yield self._decided(*waiting, before, chroma)
                before = waiting[1]
            waiting = frame, chroma
        if waiting is not None:
            yield self._decided(*waiting, before, None)

    def _decided(
        self, frame: Frame, chroma: FrameChroma | None, before: FrameChroma | None, after: FrameChroma | None
    ) -> Frame:
        """A frame with the decision whether it keeps its color."""
        if (shot := self._shots.find(frame.number)) is not None:
            return _follow(shot, frame)
        if self._detector is None or chroma is None:
            return frame
        neighbors = [other for other in (before, after) if other is not None]
        return replace(frame, keeps_color=self._detector.detect(chroma, neighbors))

    def _chroma(self, frame: Frame) -> FrameChroma | None:
        """The chroma by which color is detected; None if it is not to be detected or the frame is gray."""
        if self._detector is None or self._shots.find(frame.number) is not None:
            return None
        thumbnail = self._converter.thumbnail(frame.picture, frame.views)
        return None if thumbnail is None else FrameChroma(*thumbnail)


def _follow(shot: Shot, frame: Frame) -> Frame:
    """A frame as the shot list wants it."""
    starts_shot = shot.start == frame.number
    return replace(frame, keeps_color=shot.skip, starts_shot=starts_shot, saturation=shot.saturation)
