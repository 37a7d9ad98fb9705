"""The sink for files: video is encoded in segments, which are joined with the other streams at the end."""

import heapq
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
from av.packet import Packet

from colorcli.errors import InputError
from colorcli.events import Note, Sink
from colorcli.files import atomic_write
from colorcli.networks.card import ModelCard
from colorcli.options import Existing, VideoOptions
from colorcli.video.captions import insert_captions, read_captions
from colorcli.video.ffmpeg import file_url
from colorcli.video.frames import ColoredFrame, Timing
from colorcli.video.muxer import open_output
from colorcli.video.packet_scan import demux, scan_packets
from colorcli.video.part import Part
from colorcli.video.preflight import CheckedVideo
from colorcli.video.probe import open_video
from colorcli.video.remux import Remux, write_remuxed
from colorcli.video.shot_list import Shot, shots_from_starts, write_shots
from colorcli.video.shot_log import shot_done
from colorcli.video.shot_memory import ShotMemory
from colorcli.video.shots import ShotRule
from colorcli.video.sinks.base import Summaries, VideoSink
from colorcli.video.sinks.identity import encoding_identity, run_identity
from colorcli.video.sinks.mending import Changes
from colorcli.video.sinks.segment_writer import SegmentWriter
from colorcli.video.sinks.segments import Record, Segments
from colorcli.video.timestamps import decode_seconds, fitted, number_frames, restore_times
from colorcli.video.trim import Clip

_LATEST_END = Fraction(1)
"""Seconds after the last frame within which `--end` still counts as cutting the video."""


class FileSink(VideoSink):
    """Writes a file in a way that survives being killed."""

    def __init__(self, video: CheckedVideo, segments: Segments, tags: dict[str, str], report: Sink) -> None:
        self._video, self._segments, self._tags, self._report = video, segments, tags, report
        self._writer = SegmentWriter(video, segments)
        self.folder = segments.folder
        self._kept: set[int] = set()
        """Positions of the segments of an earlier run."""
        self._recalled: Mapping[int, Sequence[int]] = {}
        """As in `Memory`."""

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
        segments = Segments(video.output, run_identity(video, card), encoding_identity(video))
        with segments.claimed():
            keep = video.options.video.keep and video.options.existing is Existing.OVERWRITE
            if keep and segments.reopen() and segments.records:
                changes = Changes(segments.records, video)
                same = changes.same_shots(segments.earlier_chroma, segments.summaries)
                segments.drop(changes.chains(), same)
                count = sum(len(record.timings) for record in segments.records)
                message = f"{count} frames keep their colors, unless what their shots remember has changed"
                report(Note(video.name, message))
            elif segments.open(video.options.existing):
                count = sum(len(record.timings) for record in segments.records)
                report(Note(video.name, f"continuing after {count} finished frames"))
            yield cls(video, segments, tags, report)

    @property
    def finished(self) -> list[Record]:
        return self._segments.finished

    def parts(self, memory: ShotMemory | None) -> Iterator[Part]:
        self._recalled = {} if memory is None else memory.recalled
        for part in self._segments.gaps(lambda chain: self._is_same(chain, memory)):
            if memory is not None and part.chroma is None:
                kept = [(shot.start, shot.end) for shot in part.stored]
                memory.forget_stored(part.first_number, part.last, kept)
            yield part

    def _is_same(self, chain: Sequence[Record], memory: ShotMemory | None) -> bool:
        """Whether a finished chain follows from the memory."""
        is_same = memory is None or memory.restore(chain[-1].numbers[-1] + 1)
        self._kept |= {record.position for record in chain if is_same}
        return is_same

    def write(self, frames: Iterator[ColoredFrame], part: Part, summaries: Summaries) -> None:
        self._writer.write(frames, part, summaries)

    def finish(self) -> None:
        """Join the segments."""
        segments, video = self._segments, self._video
        segments.load()
        if not segments.records:
            segments.remove()
            raise video.no_frames()
        self._report_kept_shots()
        shots = self._shots()
        path = video.options.video.shots
        if path is not None and not path.exists():
            write_shots(path, shots, video.info.rate)
        if self._is_unchanged(shots):
            with atomic_write(video.output) as partial:
                shutil.copyfile(video.source.path, partial)
        else:
            _join(video, segments, self._tags)
        if not video.options.video.keep:
            segments.remove()

    def _report_kept_shots(self) -> None:
        """Report the shots that were not colorized now."""
        done = 0
        for _, chain in groupby(self._segments.records, key=lambda record: record.chain_start):
            records = list(chain)
            # A shot that goes on in a later segment has a summary in both.
            shots = {
                shot.start: (shot, record.position in self._kept)
                for record in records
                for shot in self._segments.summaries(record.position)
            }
            for number, (shot, is_kept) in enumerate(shots.values(), done + 1):
                if is_kept:
                    recalled = self._recalled.get(shot.start, ())
                    self._report(shot_done(self._video, number, shot, recalled))
            done += sum(record.shots for record in records)

    def _shots(self) -> list[Shot]:
        rule = ShotRule(self._video.shots)
        records = self._segments.records
        number = 0
        starts = []
        for record in records:
            for number, findings in zip(record.numbers, record.findings, strict=True):
                decision = rule.decide(number, findings)
                if decision.starts_shot:
                    starts.append((number, decision.keeps_color))
        return shots_from_starts(starts, number + 1)

    def _is_unchanged(self, shots: list[Shot]) -> bool:
        """Whether all shots keep their color and no option changes anything else: then the file is copied."""
        video = self._video
        relevant = replace(
            video.options.video,
            shots=None,
            references=None,
            contact_sheet=None,
            stabilize=True,
            memory=True,
            keep=False,
        )
        is_same_container = video.source.path.suffix.lower() == video.output.suffix.lower()
        keeps_color = all(shot.skip for shot in shots)
        return relevant == VideoOptions() and not video.options.compare and is_same_container and keeps_color


def _join(video: CheckedVideo, segments: Segments, tags: dict[str, str]) -> None:
    """Mux the segments and the source's other streams into the output, whole or not at all.

    Raises:
        InputError: the output cannot be written.
    """
    with atomic_write(video.output) as partial:
        write_remuxed(partial, _mux(video, segments, partial, tags))


def _mux(video: CheckedVideo, segments: Segments, partial: Path, tags: dict[str, str]) -> Remux:
    info = video.info
    timings = [timing for record in segments.records for timing in record.timings]
    clip = _clip(video, timings)
    with ExitStack() as stack:
        source = stack.enter_context(open_video(video.source.path)) if video.source.container else None
        first = stack.enter_context(av.open(file_url(segments.encoded(segments.records[0])), format="nut"))
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
        captions = read_captions(info.source) if source else {}
        encoded = restore_times(
            insert_captions(
                _encoded_packets(segments, info.rate),
                template.codec_context.name,
                lambda number: captions.get(timings[number].pts) if number < len(timings) else None,
            ),
            fitted(timings.__getitem__, video.format_name, info),
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
    for record in segments.records:
        with av.open(file_url(segments.encoded(record)), format="nut") as encoded:
            yield from number_frames(encoded.demux(), rate, record.position)


def _clip(video: CheckedVideo, timings: list[Timing]) -> Clip:
    """What is kept of the other streams: exactly from the first frame to the end of the last one.

    If the video ends long before `--end`, nothing of it was cut off, and audio may be longer than it.
    """
    clock, asked = video.info.time_base, video.clip
    start = timings[0].pts * clock if asked.start is not None else None
    end = (timings[-1].pts + timings[-1].duration) * clock
    is_cut = asked.end is not None and asked.end < end + _LATEST_END
    return Clip(start, end if is_cut else asked.end)
