"""The sink for files: video is encoded in segments, which are joined with the other streams at the end."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import av

from colorcli._version import __version__
from colorcli.events import Note, Sink
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard
from colorcli.options import Existing, VideoOptions
from colorcli.video.color_sources import color_sources_identity
from colorcli.video.encoder import Encoder
from colorcli.video.ffmpeg import file_url, version_line
from colorcli.video.frames import ColoredFrame, Timing
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shot_list import shots_from_starts, write_shots
from colorcli.video.sinks.base import VideoSink, no_frames
from colorcli.video.sinks.join import join_segments
from colorcli.video.sinks.segments import Record, Segments

SEGMENT_FRAMES = 240
"""Frames after which a segment ends at the next resumable one: ten seconds, an encoder's usual keyframe
distance."""


class FileSink(VideoSink):
    """Writes a file in a way that survives being killed."""

    def __init__(self, video: CheckedVideo, segments: Segments, tags: dict[str, str]) -> None:
        self._video, self._segments, self._tags = video, segments, tags
        self.resume_point = segments.resume_point

    @classmethod
    @contextmanager
    def open(
        cls, video: CheckedVideo, card: ModelCard, tags: dict[str, str], report: Sink
    ) -> Iterator["FileSink"]:
        """Claim the output, and find out what an earlier run has finished.

        Raises:
            InputError: the folder for the segments cannot be created, or another run writes this output.
        """
        segments = Segments(video.output, _run_identity(video, card))
        with segments.claimed():
            if segments.open(resume=video.options.existing is Existing.RESUME):
                report(Note(video.name, f"continuing after {len(segments.timings)} finished frames"))
            yield cls(video, segments, tags)

    def write(self, frames: Iterator[ColoredFrame]) -> None:
        for first in frames:
            self._write_segment(first, frames)
        segments, video = self._segments, self._video
        if not segments.records:
            segments.remove()
            raise no_frames(video)
        self._write_shot_list()
        if self._is_unchanged():
            with atomic_write(video.output) as partial:
                shutil.copyfile(video.source.path, partial)
        else:
            join_segments(video, segments, self._tags)
        segments.remove()

    def _write_segment(self, first: ColoredFrame, frames: Iterator[ColoredFrame]) -> None:
        """Encode frames up to the first resumable one after `SEGMENT_FRAMES`."""
        video, segments = self._video, self._segments
        target = file_url(segments.unfinished(len(segments.records)))
        timings: list[Timing] = []
        shots: list[tuple[int, bool]] = []
        last = first
        with Encoder(video.settings, video.output_info, target) as encoder:
            for last in _segment(first, frames):
                encoder.write(last.picture)
                timings.append(last.frame.timing)
                if last.starts_shot:
                    shots.append((last.frame.number, last.frame.keeps_color))
            encoder.finish()
        segments.commit(Record(timings, shots, last.frame.keeps_color), last.keyframe)

    def _write_shot_list(self) -> None:
        """Write the shot list, unless it exists."""
        path = self._video.options.video.shots
        if path is None or path.exists():
            return
        starts = self._segments.shots
        end = starts[0][0] + len(self._segments.timings)
        write_shots(path, shots_from_starts(starts, end), self._video.info.rate)

    def _is_unchanged(self) -> bool:
        """Whether all shots keep their color and no option changes anything else: then the file is copied."""
        video = self._video
        relevant = replace(
            video.options.video, shots=None, references=None, contact_sheet=None, stabilize=True
        )
        is_same_container = video.source.path.suffix.lower() == video.output.suffix.lower()
        keeps_color = all(keeps for _, keeps in self._segments.shots)
        return relevant == VideoOptions() and not video.options.compare and is_same_container and keeps_color


def _segment(first: ColoredFrame, frames: Iterator[ColoredFrame]) -> Iterator[ColoredFrame]:
    """The frames of one segment."""
    yield first
    count, last = 1, first
    while count < SEGMENT_FRAMES or not last.is_resumable:
        following = next(frames, None)
        if following is None:
            return
        yield following
        count, last = count + 1, following


def _run_identity(video: CheckedVideo, card: ModelCard) -> dict[str, Any]:
    """Everything that the output's frames depend on."""
    color = {name: value for name, value in asdict(video.options.color).items() if name != "model"}
    options = {name: value for name, value in asdict(video.options.video).items() if name != "contact_sheet"}
    return {
        "colorcli": __version__,
        "ffmpeg": version_line(),
        "av": av.__version__,
        "source": video.source.identity(),
        "model": asdict(card),
        "color": color,
        "video": options,
        "compare": video.options.compare,
        "settings": asdict(video.settings),
        "color_sources": color_sources_identity(video.options),
    }
