"""A video as tasks that any process can do, on this machine or another one that sees the same files.

A task is a run of whole shots. At a cut nothing is carried over, so tasks depend on nothing but what the
planning pass found, and may be done in any order. The pass hands out tasks while it still reads. Finished
segments on disk are what is done, as in `sinks.segments`: a task that was lost or done twice does no harm.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import cv2

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.events import Sink
from colorcli.files import STDIO
from colorcli.options import Outcome, RunOptions
from colorcli.video.color_sources import open_color_sources, open_memory
from colorcli.video.colorize import finish_output, open_file_sink
from colorcli.video.corrections import Correction, PlannedMemory
from colorcli.video.formats import is_frame_pattern
from colorcli.video.frame_log import FrameLog
from colorcli.video.frames import Findings, Frame
from colorcli.video.kept_shots import KeptShots
from colorcli.video.keyframe_voting import ColorEstimate
from colorcli.video.part import WARM_UP, Part, Place, StoredShot, frame_checksum
from colorcli.video.pipeline import analyzed_frames, colored_frames
from colorcli.video.preflight import CheckedVideo, VideoSpec, open_source, preflight
from colorcli.video.shot_log import ShotLog
from colorcli.video.shot_memory import ShotMemory
from colorcli.video.sinks.file import FileSink
from colorcli.video.sinks.segment_writer import SegmentWriter
from colorcli.video.sinks.segments import Segments, starts_chain
from colorcli.video.temporal_colorizer import HintSource, with_certainty

TASK_FRAMES = 240
"""Frames after which a task ends where a segment does: each one opens the video anew."""


@dataclass(frozen=True)
class VideoTask:
    """A part of a video to be colorized. It can be sent to another process."""

    video: VideoSpec
    part: Part


def can_be_split(source: Path, output: Path, options: RunOptions) -> bool:
    """Whether a video can be done as tasks."""
    return STDIO not in (source, output) and not is_frame_pattern(output)


class VideoTasks:
    """The tasks of one video, from the checks before the first to the finished output."""

    def __init__(self, video: CheckedVideo, sink: FileSink, report: Sink) -> None:
        self._video, self._sink, self._report = video, sink, report
        self._log = FrameLog(video, sink.finished, report)

    @classmethod
    @contextmanager
    def open(
        cls, source: Path, output: Path, options: RunOptions, predictor: ChromaPredictor, report: Sink
    ) -> Iterator["VideoTasks"]:
        """Check a video and claim its output.

        Raises:
            ColorcliError: it cannot be colorized as asked, or another run writes this output.
        """
        with (
            preflight(source, output, options, report) as video,
            open_file_sink(video, predictor.card, report) as sink,
        ):
            yield cls(video, sink, report)

    @property
    def name(self) -> str:
        """What events call the video."""
        return self._video.name

    @property
    def frames(self) -> int | None:
        """How many frames of the video are colorized, None where it does not say."""
        return self._video.trim.frames(self._video.info)

    def finished_frames(self) -> int:
        """How many frames earlier runs have finished."""
        return self._log.earlier

    def plan(self, predictor: ChromaPredictor, sources: ColorSources) -> Iterator[VideoTask]:
        """Read the video and give each task when its end is found."""
        cv2.setNumThreads(1)
        video = self._video
        spec = VideoSpec(**{field.name: getattr(video, field.name) for field in fields(VideoSpec)})
        working = predictor.working_shape(video.info.height, video.info.width)
        memory = open_memory(video, predictor, sources, self._sink.folder)
        for gap in self._sink.parts(memory):
            self._log.reopen(*gap.redone)
            if gap.chroma is not None:
                yield VideoTask(spec, gap)
                continue
            with open_color_sources(video, gap, predictor, sources, self._report) as hints:
                plan = _Plan(memory, predictor, hints, gap)
                for part in _split(analyzed_frames(video, working, gap), gap, plan):
                    yield VideoTask(spec, part)

    def finish(self) -> Outcome:
        """Write the output when all tasks are done.

        Raises:
            ColorcliError: it cannot be written.
        """
        self._sink.finish()
        log = FrameLog(self._video, self._sink.finished, self._report)
        log.earlier = self._log.earlier
        return finish_output(self._video, log, self._report)


def _split(frames: Iterable[Frame], gap: Part, plan: "_Plan") -> Iterator[Part]:
    """The tasks of the frames of a part."""
    growing = _GrowingPart(gap)
    for frame in frames:
        if growing.ends_before(frame):
            yield plan.end_task(growing)
            growing = _GrowingPart(growing.following())
        growing.add(frame)
        plan.add(frame)
    if growing.findings:
        yield plan.end_task(growing)


class _Plan:
    """Corrects the first and the last picture of each shot, as the temporal colorizer does.

    It also finds out which shots keep their stored colors.
    """

    def __init__(
        self, memory: ShotMemory | None, predictor: ChromaPredictor, hints: HintSource, gap: Part
    ) -> None:
        self._memory, self._predictor, self._hints = memory, predictor, hints
        self._kept = KeptShots(gap.stored, memory)
        self._keyframes: list[_PlannedKeyframe] = []
        """In order, not yet corrected."""
        self._corrections: list[Correction] = []
        """Of the growing task."""
        self._is_open = gap.keyframe is not None
        self._last: tuple[int, Plane] | None = None
        """The last picture of the open shot, if it is not its first."""

    def add(self, frame: Frame) -> None:
        for view, starts_shot in zip(frame.views, frame.shot_starts, strict=True):
            if starts_shot or frame.keeps_color:
                self._end_shot()
            if self._kept.decides(frame.number):
                self._correct()
            if frame.keeps_color or self._kept.covers(frame.number):
                continue
            if self._is_open:
                self._last = frame.number, view.small
            else:
                self._is_open = True
                self._keep(frame.number, view.small, is_last=False)

    def end_task(self, growing: "_GrowingPart") -> Part:
        """The task that ends here, at a cut."""
        self._end_shot()
        self._correct()
        recalled = {} if self._memory is None else self._memory.recalled
        part = growing.part(None if self._memory is None else self._corrections, self._kept.taken, recalled)
        self._corrections, self._kept.taken = [], []
        return part

    def _end_shot(self) -> None:
        if self._last is not None:
            self._keep(*self._last, is_last=True)
        self._last, self._is_open = None, False

    def _keep(self, number: int, small: Plane, *, is_last: bool) -> None:
        if self._memory is not None:
            self._keyframes.append(_PlannedKeyframe(number, small, self._hints(number, small), is_last))

    def _correct(self) -> None:
        """Correct the keyframes.

        The network needs nothing of the memory, so it predicts all of them in batches. Corrections depend on
        those before them.
        """
        keyframes, self._keyframes = self._keyframes, []
        step = self._predictor.batch
        for first in range(0, len(keyframes), step):
            self._corrections += self._corrected(keyframes[first : first + step])

    def _corrected(self, keyframes: list["_PlannedKeyframe"]) -> Iterator[Correction]:
        assert self._memory is not None
        predictions = self._predictor.predict(
            [each.small for each in keyframes], [each.hints for each in keyframes]
        )
        for keyframe, prediction in zip(keyframes, predictions, strict=True):
            chroma, certainty = with_certainty(prediction, keyframe.hints)
            number, small, is_last = keyframe.number, keyframe.small, keyframe.is_last
            estimate = ColorEstimate.of(chroma)
            yield self._memory.correct(number, small, estimate, certainty, is_last=is_last)


@dataclass(frozen=True)
class _PlannedKeyframe:
    """The first or last picture of a shot."""

    number: int
    """Of its frame."""
    small: Plane
    """Luma [h, w] in [0, 1] at the working size."""
    hints: Hints | None
    is_last: bool
    """Whether it ends its shot rather than begins it."""


class _GrowingPart:
    """A task that is being planned."""

    def __init__(self, part: Part) -> None:
        """`part`: where it begins, and what precedes it."""
        self._part = part
        self.findings: list[Findings] = []
        self._shots = part.shots_before
        self._chain_start = part.chain_start
        self._earlier_pts = deque[int](maxlen=WARM_UP + 1)
        self._last: Frame | None = None

    def ends_before(self, frame: Frame) -> bool:
        return len(self.findings) >= TASK_FRAMES and self._starts_chain(frame)

    def _starts_chain(self, frame: Frame) -> bool:
        position = self._part.position + len(self.findings)
        return starts_chain(position - self._chain_start, starts_shot=frame.starts_shot)

    def add(self, frame: Frame) -> None:
        assert frame.findings is not None
        if self._starts_chain(frame):
            self._chain_start = self._part.position + len(self.findings)
        self.findings.append(frame.findings)
        self._shots += frame.starts_shot
        self._earlier_pts.append(frame.timing.pts)
        self._last = frame

    def part(
        self,
        corrections: list[Correction] | None,
        stored: list[StoredShot],
        recalled: Mapping[int, tuple[int, ...]],
    ) -> Part:
        start = {field.name: getattr(self._part, field.name) for field in fields(Part)}
        earlier = [shot.start for shot in (self._part.open_shot, *stored) if shot is not None]
        known = {
            "length": len(self.findings),
            "last": self._last and self._last.number,
            "findings": self.findings,
            "corrections": corrections,
            "stored": stored,
            "recalled": {number: recalled.get(number, ()) for number in earlier},
        }
        return Part(**{**start, **known})

    def following(self) -> Part:
        """The part that follows, as far as it is known."""
        last, position = self._last, self._part.position + len(self.findings)
        assert last is not None and last.findings is not None
        checksum = frame_checksum(last)
        return Part(
            position,
            Place(last.number, last.timing.pts, self._earlier_pts[0], checksum),
            chain_start=position,
            has_color=last.findings.has_color,
            keeps_color=last.keeps_color,
            shots_before=self._shots,
        )


def colorize_task(task: VideoTask, predictor: ChromaPredictor, sources: ColorSources, report: Sink) -> None:
    """Do a task: its segments are on disk afterward. Progress counts the task's own frames.

    Raises:
        ColorcliError: what failed, and why.
    """
    cv2.setNumThreads(1)
    spec, part = task.video, task.part
    memory = None if part.corrections is None else PlannedMemory(part.corrections, part.recalled)
    with open_source(spec) as source:
        video = CheckedVideo(source=source, **vars(spec))
        log = FrameLog(video, (), report)
        shot_log = ShotLog(video, report, part, memory, keeps=True)
        writer = SegmentWriter(video, Segments(video.output, {}))
        with (
            open_color_sources(video, part, predictor, sources, report) as hints,
            colored_frames(video, predictor, hints, part, memory) as frames,
        ):
            writer.write(log.watch(shot_log.watch(frames)), part, shot_log.summaries)
