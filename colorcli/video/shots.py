"""The shots stage: finds shots and color in the frames, and decides about each before it is colorized."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from colorcli.color.detection import ColorDetector, FrameChroma
from colorcli.video.cuts import CutDetector
from colorcli.video.frame_converter import FrameConverter
from colorcli.video.frames import Findings, Frame
from colorcli.video.grade import UNGRADED, Grade
from colorcli.video.shot_list import ShotList


@dataclass(frozen=True)
class Decision:
    """What becomes of a frame."""

    starts_shot: bool
    keeps_color: bool
    grade: Grade


class ShotRule:
    """Decides about frames in order, by what is found in them and by the shot list."""

    def __init__(self, shots: ShotList, *, keeps_color: bool | None = None) -> None:
        """`keeps_color`: of the frame before the first one, None if there is none."""
        self._shots, self._keeps_color = shots, keeps_color

    def decide(self, number: int, findings: Findings) -> Decision:
        """The decision for the next frame. Where color begins or ends, a shot begins."""
        shot = self._shots.find(number)
        keeps_color = findings.has_color if shot is None else shot.skip
        is_listed = shot is not None and shot.start == number
        starts_shot = findings.cuts[0] or is_listed or keeps_color != self._keeps_color
        self._keeps_color = keeps_color
        return Decision(starts_shot, keeps_color, UNGRADED if shot is None else shot.grade)


class ShotAnalyzer:
    """Extracts each frame's luma, finds cuts and color, and decides by them what becomes of the frame."""

    def __init__(
        self,
        converter: FrameConverter,
        working: tuple[int, int],
        rule: ShotRule,
        detector: ColorDetector | None,
    ) -> None:
        """`working`: working height and width; `detector`: None to colorize frames that have color, too."""
        self._converter, self._working = converter, working
        self._rule, self._detector = rule, detector

    def run(
        self,
        frames: Iterable[Frame],
        *,
        has_context: bool = False,
        findings: Sequence[Findings] | None = None,
    ) -> Iterator[Frame]:
        """The frames with planar pictures, views and decisions, one frame behind the source.

        Args:
            has_context: the first frame only precedes those that are wanted, and is left out.
            findings: of all frames that are wanted, if they are known.
        """
        if findings is None:
            found = self._find(self._viewed(frames), has_context=has_context)
        else:
            wanted = islice(frames, int(has_context), int(has_context) + len(findings))
            pairs = zip(self._viewed(wanted), findings, strict=True)
            found = (replace(frame, findings=known) for frame, known in pairs)
        for frame in found:
            assert frame.findings is not None
            decision = self._rule.decide(frame.number, frame.findings)
            yield replace(
                frame,
                keeps_color=decision.keeps_color,
                grade=decision.grade,
                shot_starts=(decision.starts_shot, *frame.findings.cuts[1:]),
            )

    def _viewed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            picture = self._converter.planar(frame.picture)
            yield replace(frame, picture=picture, views=self._converter.views(picture, self._working))

    def _find(self, frames: Iterable[Frame], *, has_context: bool) -> Iterator[Frame]:
        """The frames with what is found in them."""
        cuts = CutDetector()
        before: FrameChroma | None = None
        waiting: tuple[Frame, tuple[bool, ...], FrameChroma | None] | None = None
        for place, frame in enumerate(frames):
            found = tuple([cuts.is_cut(view.small) for view in frame.views])
            chroma = self._chroma(frame)
            if place == 0 and has_context:
                before = chroma
                continue
            if waiting is not None:
                yield self._found(*waiting, before, chroma)
                before = waiting[2]
            waiting = frame, found, chroma
        if waiting is not None:
            yield self._found(*waiting, before, None)

    def _chroma(self, frame: Frame) -> FrameChroma | None:
        """The chroma by which color is detected; None if it is not to be detected or the frame is gray."""
        if self._detector is None:
            return None
        thumbnail = self._converter.thumbnail(frame.picture, frame.views)
        return None if thumbnail is None else FrameChroma(*thumbnail)

    def _found(
        self,
        frame: Frame,
        cuts: tuple[bool, ...],
        chroma: FrameChroma | None,
        before: FrameChroma | None,
        after: FrameChroma | None,
    ) -> Frame:
        """A frame with the cuts before its views, and whether it has color."""
        if self._detector is None or chroma is None:
            return replace(frame, findings=Findings(cuts))
        neighbors = [other for other in (before, after) if other is not None]
        has_color = self._detector.detect(chroma, neighbors)
        own = () if has_color else chroma.own_cells(neighbors)
        return replace(frame, findings=Findings(cuts, has_color, own))
