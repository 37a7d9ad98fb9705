"""The sink for files: video is encoded in segments, which are joined with the other streams at the end."""

import heapq
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from colorcli._version import __version__
from colorcli.errors import InputError
from colorcli.events import Note, Sink
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard
from colorcli.options import VideoOptions
from colorcli.video.color_sources import color_sources_identity
from colorcli.video.encoder import Encoder
from colorcli.video.ffmpeg import file_url, version_line
from colorcli.video.frames import ColoredFrame, Timing
from colorcli.video.muxer import open_output
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.preflight import CheckedVideo
from colorcli.video.probe import open_video
from colorcli.video.remux import Remux, write_remuxed
from colorcli.video.shot_list import shots_from_starts, write_shots
from colorcli.video.sinks.base import VideoSink
from colorcli.video.sinks.segments import Record, Segments
from colorcli.video.timestamps import decode_seconds, number_frames, restore_times
from colorcli.video.trim import Clip

SEGMENT_FRAMES = 240
"""Frames after which a segment ends at the next resumable one: ten seconds, an encoder's usual keyframe
distance."""

_LATEST_END = Fraction(1)
"""Seconds after the last frame within which `--end` still counts as cutting the video."""


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
            RefusedError: an earlier run has finished segments that would be lost.
        """
        segments = Segments(video.output, _run_identity(video, card))
        with segments.claimed():
            if segments.open(video.options.existing):
                report(Note(video.name, f"continuing after {len(segments.timings)} finished frames"))
            yield cls(video, segments, tags)

    def write(self, frames: Iterator[ColoredFrame]) -> None:
        for first in frames:
            self._write_segment(first, frames)
        segments, video = self._segments, self._video
        if not segments.records:
            segments.remove()
            raise video.no_frames()
        self._write_shot_list()
        if self._is_unchanged():
            with atomic_write(video.output) as partial:
                shutil.copyfile(video.source.path, partial)
        else:
            _join(video, segments, self._tags)
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


def _join(video: CheckedVideo, segments: Segments, tags: dict[str, str]) -> None:
    """Mux the segments and the source's other streams into the output, whole or not at all.

    Raises:
        InputError: the output cannot be written.
    """
    with atomic_write(video.output) as partial:
        write_remuxed(partial, _mux(video, segments, partial, tags))


def _mux(video: CheckedVideo, segments: Segments, partial: Path, tags: dict[str, str]) -> Remux:
    info, timings = video.info, segments.timings
    clip = _clip(video, timings)
    with ExitStack() as stack:
        source = stack.enter_context(open_video(video.source.path)) if video.source.container else None
        first = stack.enter_context(av.open(file_url(segments.encoded(0)), format="nut"))
        template = first.streams.video[0]
        output = open_output(
            file_url(partial),
            video.format_name,
            video.output_info,
            source,
            template,
            clip,
            tags,
            video.streams,
        )
        stack.enter_context(output)
        encoded = restore_times(
            _encoded_packets(segments, info.rate),
            timings.__getitem__,
            depth=template.codec_context.reorder_depth,
            step=info.frame_ticks,
            shift=round(clip.shift / info.time_base),
        )
        others = [source.streams[index] for index in output.copies] if source else []
        copied = demux(source, scan_packets(info.source), *others) if source and others else ()
        timed = heapq.merge(
            ((decode_seconds(packet) + clip.shift, output.mux_video, packet) for packet in encoded),
            ((decode_seconds(packet), output.mux_copy, packet) for packet in copied),
            key=lambda entry: entry[0],
        )
        for _, mux, packet in timed:
            mux(packet)
    if output.video_packets != len(timings):
        cause = f"contains {output.video_packets} of {len(timings)} frames"
        raise InputError(video.output, cause, "try another --codec")
    return output.remux


def _encoded_packets(segments: Segments, rate: Fraction) -> Iterator[Packet]:
    """The packets of all segments in order; their pts count the video's frames."""
    base = 0
    for index, record in enumerate(segments.records):
        with av.open(file_url(segments.encoded(index)), format="nut") as encoded:
            yield from number_frames(encoded.demux(), rate, base)
        base += len(record.timings)


def _clip(video: CheckedVideo, timings: list[Timing]) -> Clip:
    """What is kept of the other streams: exactly from the first frame to the end of the last one.

    If the video ends long before `--end`, nothing of it was cut off, and audio may be longer than it.
    """
    clock, asked = video.info.time_base, video.clip
    start = timings[0].pts * clock if asked.start is not None else None
    end = (timings[-1].pts + timings[-1].duration) * clock
    is_cut = asked.end is not None and asked.end < end + _LATEST_END
    return Clip(start, end if is_cut else asked.end)
