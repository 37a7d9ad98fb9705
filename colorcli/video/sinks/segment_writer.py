"""Encoding a part of a video in segments.

Where a segment ends depends on the frames alone, and each has an encoder of its own: however many processes
encode a video, and wherever they were killed, its bytes are the same.
"""

from collections.abc import Iterator
from contextlib import nullcontext

from colorcli.video.chroma_store import ChromaWriter
from colorcli.video.encoder import Encoder
from colorcli.video.ffmpeg import file_url
from colorcli.video.frames import ColoredFrame, Findings, Timing
from colorcli.video.part import Part, frame_checksum
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shots import Decision
from colorcli.video.sinks.base import Summaries
from colorcli.video.sinks.decision_key import DecisionKeys
from colorcli.video.sinks.identity import encoding_identity
from colorcli.video.sinks.segments import LONGEST_SEGMENT, Record, Segments, starts_chain
from colorcli.video.temporal_colorizer import Keyframe


class SegmentWriter:
    """Writes the segments of one video."""

    def __init__(self, video: CheckedVideo, segments: Segments) -> None:
        self._video, self._segments = video, segments
        self._encoding = encoding_identity(video)

    def write(self, frames: Iterator[ColoredFrame], part: Part, summaries: Summaries) -> None:
        """Encode the frames of a part; `summaries` gives what the report has of those so far.

        Raises:
            ColorcliError: an error of the frames, of the encoder, or of the output.
        """
        position, chain_start = part.position, part.chain_start
        following = next(frames, None)
        while following is not None:
            segment = _Segment(position, chain_start, self._video)
            following = self._encode(segment, following, frames, keeps_chroma=part.chroma is None)
            is_last = following is None or segment.ends_chain_before(following)
            keyframe = None if is_last else segment.keyframe
            is_colored = part.chroma is None  # else the summaries are those of the earlier run
            self._segments.commit(
                segment.record(self._encoding), keyframe, summaries() if is_colored else None
            )
            position = segment.end
            chain_start = position if keyframe is None else chain_start

    def _encode(
        self,
        segment: "_Segment",
        first: ColoredFrame,
        frames: Iterator[ColoredFrame],
        *,
        keeps_chroma: bool,
    ) -> ColoredFrame | None:
        """Encode one segment, and store its colors if they are to be kept; the frame that follows it."""
        following: ColoredFrame | None = first
        target = file_url(self._segments.unfinished(segment.position))
        keeps_chroma = keeps_chroma and self._video.options.video.keep
        chroma = ChromaWriter(self._segments.unfinished_chroma(segment.position)) if keeps_chroma else None
        with (
            Encoder(self._video.settings, self._video.output_info, target) as encoder,
            chroma or nullcontext(),
        ):
            while following is not None and not segment.ends_before(following):
                encoder.write(following.picture)
                if chroma is not None:
                    chroma.add(following.chromas)
                segment.add(following)
                following = next(frames, None)
            encoder.finish()
        return following


class _Segment:
    """A segment that is growing."""

    def __init__(self, position: int, chain_start: int, video: CheckedVideo) -> None:
        self.position, self._chain_start = position, chain_start
        self._keys = DecisionKeys(video)
        self._numbers: list[int] = []
        self._timings: list[Timing] = []
        self._findings: list[Findings] = []
        self._shots = self._kept = 0
        self._last: ColoredFrame | None = None

    @property
    def end(self) -> int:
        """The position after the last frame."""
        return self.position + len(self._numbers)

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
        self._keys.add(frame.number, Decision(frame.starts_shot, frame.keeps_color, frame.grade))
        self._shots += frame.starts_shot
        self._kept += frame.keeps_color
        self._last = colored

    def ends_before(self, following: ColoredFrame) -> bool:
        if self._last is None:
            return False
        is_full = len(self._numbers) >= LONGEST_SEGMENT and self._last.is_resumable
        return is_full or self.ends_chain_before(following)

    def ends_chain_before(self, following: ColoredFrame) -> bool:
        return starts_chain(self.end - self._chain_start, starts_shot=following.frame.starts_shot)

    def record(self, encoding: str) -> Record:
        assert self._last is not None
        frame = self._last.frame
        return Record(
            self.position,
            self._chain_start,
            self._numbers,
            self._timings,
            self._findings,
            frame.keeps_color,
            self._shots,
            self._kept,
            frame_checksum(frame),
            self._keys.digests(),
            encoding,
        )
