"""Timestamps: the source's times come back, whatever the encoder reorders, and decode times increase."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from av.packet import Packet

from colorcli.errors import InputError
from colorcli.video.frames import Timing
from colorcli.video.timestamps import number_frames, restore_times

RATE = Fraction(25)


def packet(pts: int, base: Fraction = 1 / RATE) -> Packet:
    made = Packet(b"frame")
    made.pts = made.dts = pts
    made.time_base = base
    return made


def variable_timings(count: int) -> list[Timing]:
    """Frames of very different durations."""
    durations = [int(ticks) for ticks in np.random.default_rng(1).integers(1, 90, count)]
    starts = np.cumsum([500, *durations[:-1]])
    return [Timing(int(pts), duration) for pts, duration in zip(starts, durations, strict=True)]


def reordered(count: int, depth: int) -> list[int]:
    """Frame numbers in the decode order of an encoder with `depth` B-frames in a row."""
    order = [0]
    for start in range(1, count, depth + 1):
        group = list(range(start, min(start + depth + 1, count)))
        order += [group[-1], *group[:-1]]
    return order


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_times_are_the_sources_and_decode_times_increase(depth: int) -> None:
    timings = variable_timings(40)
    # One B-frame in a row delays decoding by one frame, several that refer to each other by two.
    reorder_depth = min(depth, 2) if depth < 3 else 3
    packets = [packet(number) for number in reordered(40, depth)]
    numbers = [one.pts for one in packets]
    restored = list(restore_times(packets, timings.__getitem__, depth=reorder_depth, step=40))
    assert [one.pts for one in restored] == [timings[number].pts for number in numbers]
    assert [one.duration for one in restored] == [timings[number].duration for number in numbers]
    decode = [one.dts for one in restored]
    assert all(a < b for a, b in pairwise(decode))
    assert all(one.dts <= one.pts for one in restored)


def test_a_trimmed_video_begins_at_zero() -> None:
    timings = variable_timings(5)
    packets = [packet(number) for number in range(5)]
    restored = list(restore_times(packets, timings.__getitem__, depth=0, step=40, shift=500))
    assert restored[0].pts == restored[0].dts == 0


def test_a_frame_that_was_not_given_is_an_error() -> None:
    with pytest.raises(InputError, match="frame 3"):
        list(restore_times([packet(3)], variable_timings(2).__getitem__, depth=0, step=40))


def test_frames_are_numbered_from_the_first_packet() -> None:
    clock = Fraction(1, 1000)
    packets = [packet(pts, clock) for pts in (80, 160, 120)]
    assert [one.pts for one in number_frames([*packets, Packet(0)], RATE, base=7)] == [7, 9, 8]
