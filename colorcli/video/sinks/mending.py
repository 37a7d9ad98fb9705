"""Mending a finished video: what a change leaves as it is, and what must be colorized again."""

from itertools import groupby

from colorcli.video.preflight import VideoSpec
from colorcli.video.shots import ShotRule
from colorcli.video.sinks.decision_key import DecisionKey
from colorcli.video.sinks.segments import Segments, starts_task


def drop_changed(segments: Segments, video: VideoSpec) -> None:
    """Remove the segments of the tasks in which the shot list, a reference or a hint changes anything.

    What was found in the frames is on record, so the video is not read. A task is kept if it still begins and
    ends at the same frames, and if the decisions about all its frames are the same.
    """
    rule = ShotRule(video.shots)
    task_start, starts, changed = 0, {0}, set()
    for record in segments.records:
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
    if segments.records:
        starts.add(segments.records[-1].end)
    for task_start, group in groupby(list(segments.records), key=lambda record: record.task_start):
        records = list(group)
        is_same = task_start in starts and records[-1].end in starts and task_start not in changed
        if not is_same:
            segments.drop(records)
