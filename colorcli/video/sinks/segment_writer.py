"""Encoding a part of a video in segments.

Where a segment ends depends on the frames alone, and each has an encoder of its own: however many processes
encode a video, and wherever they were killed, its bytes are the same.
"""

from collections.abc import Iterator

from colorcli.video.encoder import Encoder
from colorcli.video.ffmpeg import file_url
from colorcli.video.frames import ColoredFrame, Findings, Timing
from colorcli.video.part import Part, luma_checksum
from colorcli.video.preflight import CheckedVideo
from colorcli.video.sinks.segments import LONGEST_SEGMENT, Record, Segments, starts_task
from colorcli.video.temporal_colorizer import Keyframe


class SegmentWriter:
    """Writes the segments of one video."""

    def __init__(self, video: CheckedVideo, segments: Segments) -> None:
        self._video, self._segments = video, segments

    def write(self, frames: Iterator[ColoredFrame], part: Part) -> None:
        """Encode the frames of a part.

        Raises:
            ColorcliError: an error of the frames, of the encoder, or of the output.
        """
        position, task_start = part.position, part.task_start
        following = next(frames, None)
        while following is not None:
            segment = _Segment(position, task_start)
            target = file_url(self._segments.unfinished(position))
            with Encoder(self._video.settings, self._video.output_info, target) as encoder:
                while following is not None and not segment.ends_before(following):
                    encoder.write(following.picture)
                    segment.add(following)
                    following = next(frames, None)
                encoder.finish()
            is_last = following is None or segment.ends_task_before(following)
            keyframe = None if is_last else segment.keyframe
            self._segments.commit(segment.record(), keyframe)
            position = segment.end
            task_start = position if keyframe is None else task_start


class _Segment:
    """A segment that is growing."""

    def __init__(self, position: int, task_start: int) -> None:
        self._position, self._task_start = position, task_start
        self._numbers: list[int] = []
        self._timings: list[Timing] = []
        self._findings: list[Findings] = []
        self._shots = self._kept = 0
        self._last: ColoredFrame | None = None

    @property
    def end(self) -> int:
        """The position after the last frame."""
        return self._position + len(self._numbers)

    @property
    def keyframe(self) -> Keyframe | None:
        """What the next segment starts from, if it continues the shot."""
        return None if self._last is None else self._last.keyframe

    def add(self, colored: ColoredFrame) -> None:
        frame = colored.frame
        assert frame.findings is not None
        self._numbers.append(frame.number)
        self._timings.append(frame.timing)
        self._findings.append(frame.findings)
        self._shots += frame.starts_shot
        self._kept += frame.keeps_color
        self._last = colored

    def ends_before(self, following: ColoredFrame) -> bool:
        if self._last is None:
            return False
        is_full = len(self._numbers) >= LONGEST_SEGMENT and self._last.is_resumable
        return is_full or self.ends_task_before(following)

    def ends_task_before(self, following: ColoredFrame) -> bool:
        return starts_task(self.end - self._task_start, starts_shot=following.frame.starts_shot)

    def record(self) -> Record:
        assert self._last is not None
        frame = self._last.frame
        return Record(
            self._position,
            self._task_start,
            self._numbers,
            self._timings,
            self._findings,
            frame.keeps_color,
            self._shots,
            self._kept,
            luma_checksum(frame.picture),
        )
