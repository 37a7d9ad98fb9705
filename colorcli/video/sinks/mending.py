"""Mending a finished video: what a change leaves as it is, and what must be colorized again."""

from collections.abc import Sequence

from colorcli.video.preflight import VideoSpec
from colorcli.video.shots import ShotRule
from colorcli.video.sinks.decision_key import DecisionKey
from colorcli.video.sinks.segments import Record, starts_task


def changed_tasks(records: Sequence[Record], video: VideoSpec) -> set[int]:
    """The positions of the tasks in which the shot list, a reference or a hint changes anything.

    What was found in the frames is on record, so the video is not read. A task is kept if it still begins and
    ends at the same frames, and if the decisions about all its frames are the same.
    """
    rule = ShotRule(video.shots)
    task_start, starts, changed = 0, {0}, set()
    for record in records:
        key = DecisionKey(video)
        frames = zip(record.numbers, record.findings, strict=True)
        for position, (number, findings) in enumerate(frames, record.position):
            decision = rule.decide(number, findings)
            key.add(number, decision)
            if starts_task(position - task_start, starts_shot=decision.starts_shot):
                task_start = position
                starts.add(position)
        if key.digest() != record.key:
            changed.add(record.task_start)
    ends = {record.task_start: record.end for record in records}
    starts.update(list(ends.values())[-1:])
    return {
        start for start, end in ends.items() if start in changed or start not in starts or end not in starts
    }
