"""Mending a finished video: what a change leaves as it is, and what must be colorized again.

What was found in the frames is on record, so the video is not read.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from colorcli.video.part import StoredShot
from colorcli.video.preflight import VideoSpec
from colorcli.video.shot_summary import ShotSummary
from colorcli.video.shots import ShotRule
from colorcli.video.sinks.decision_key import DecisionKeys
from colorcli.video.sinks.segments import LONGEST_SEGMENT, Record, starts_chain


class Changes:
    """What the shot list, references and hints change about a finished video."""

    def __init__(self, records: Sequence[Record], video: VideoSpec) -> None:
        """`records`: all segments of the video."""
        self._records = records
        self._chain_starts = [0]
        """Positions at which chains start now."""
        self._shot_starts: dict[int, int] = {}
        """Positions at which shots start now, by the number of the frame."""
        self._keeps_color: set[int] = set()
        """Numbers of the first frames of shots that keep their own color."""
        rule = ShotRule(video.shots)
        self._keys = [self._decide(record, rule, video) for record in records]
        self._ends = {*self._shot_starts.values(), *[record.end for record in records[-1:]]}
        """Positions before which shots end now."""

    def _decide(self, record: Record, rule: ShotRule, video: VideoSpec) -> list[tuple[int, str]]:
        """The digests that a record would have now."""
        keys = DecisionKeys(video)
        frames = zip(record.numbers, record.findings, strict=True)
        for position, (number, findings) in enumerate(frames, record.position):
            decision = rule.decide(number, findings)
            keys.add(number, decision)
            if decision.starts_shot:
                self._shot_starts[number] = position
                if decision.keeps_color:
                    self._keeps_color.add(number)
            if starts_chain(position - self._chain_starts[-1], starts_shot=decision.starts_shot):
                self._chain_starts.append(position)
        return keys.digests()

    def chains(self) -> set[int]:
        """The positions of the chains that must be colorized again.

        A chain is kept if it still begins and ends at the same frames, and if the decisions about all its
        frames are the same.
        """
        records = self._records
        changed = {
            record.chain_start
            for record, keys in zip(records, self._keys, strict=True)
            if keys != record.keys
        }
        ends = {record.chain_start: record.end for record in records}
        starts = {*self._chain_starts, *list(ends.values())[-1:]}
        return {
            start
            for start, end in ends.items()
            if start in changed or start not in starts or end not in starts
        }

    def same_shots(
        self, chroma: Callable[[int], Path], summaries: Callable[[int], list[ShotSummary]]
    ) -> list[StoredShot]:
        """The whole shots that a chain may keep when it is colorized again for another shot's sake.

        Args:
            chroma: where the colors of the segment at a position are stored then.
            summaries: of the shots of the segment at a position.
        """
        found = []
        following = [*self._records[1:], None]
        for record, after, keys in zip(self._records, following, self._keys, strict=True):
            ends_shot = after is None or after.chain_start == after.position
            numbers = [number for number, _ in keys]
            ends = [*numbers[1:], record.numbers[-1] + 1]
            agreements = {one.start: one.agreement for one in summaries(record.position)}
            for (number, digest), end in zip(keys, ends, strict=True):
                is_whole = end in numbers or (ends_shot and record.end in self._ends)
                if (number, digest) in record.keys and is_whole and self._is_short(number, record, end):
                    start = self._shot_starts[number] - record.position
                    agreement = agreements.get(number)
                    found.append(StoredShot(number, end, chroma(record.position), start, agreement))
        return found

    def _is_short(self, number: int, record: Record, end: int) -> bool:
        """Whether a shot is colorized, begins here, and ends before its chain's first segment may end."""
        position = self._shot_starts.get(number)
        if position is None or number in self._keeps_color:
            return False
        chain_start = self._chain_starts[bisect_right(self._chain_starts, position) - 1]
        last = record.end - 1 if end > record.numbers[-1] else self._shot_starts[end] - 1
        return last - chain_start < LONGEST_SEGMENT
