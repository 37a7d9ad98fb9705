"""Timestamps of encoded packets: the encoder counts frames, and the source's own times are put back."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from av.packet import Packet

from colorcli.errors import InputError
from colorcli.video.containers import keeps_times
from colorcli.video.frames import Timing
from colorcli.video.info import VideoInfo


def number_frames(packets: Iterable[Packet], rate: Fraction, base: int = 0) -> Iterator[Packet]:
    """Give an encoder's packets frame numbers from `base` as pts.

    A packet without bytes repeats the frame before (Theora); the one that ends the stream has no time.

    The first packet shows frame 0: ffmpeg shifts all times so that no decoding time is negative.
    """
    first: int | None = None
    for packet in packets:
        if packet.pts is not None and packet.time_base is not None:
            first = packet.pts if first is None else first
            packet.pts = base + round((packet.pts - first) * packet.time_base * rate)
            yield packet


def restore_times(
    packets: Iterable[Packet], timing_of: Callable[[int], Timing], *, depth: int, step: int, shift: int = 0
) -> Iterator[Packet]:
    """Give packets, whose pts are frame numbers, the source's times.

    Decoding times are the sorted presentation times, delayed by the reorder depth: never later than a
    packet's own presentation and always increasing, whatever the frame rate does.

    Args:
        timing_of: the timing of a frame by its number.
        depth: the encoder's reorder depth in frames.
        step: a frame's usual duration in ticks; it spaces the first `depth` decoding times, which come before
            the first presentation.
        shift: ticks by which everything moves forward.

    Raises:
        InputError: the encoder returned a frame that it was not given.
    """
    waiting: list[int] = []
    first = 0
    for count, packet in enumerate(packets):
        try:
            timing = timing_of(packet.pts)  # type: ignore[arg-type]
        except (KeyError, IndexError) as error:
            cause = f"returned frame {packet.pts}, which it was not given"
            raise InputError("ffmpeg", cause, "try another --codec") from error
        first = first if count else timing.pts
        heapq.heappush(waiting, timing.pts)
        early = depth - count
        packet.dts = (first - early * step if early > 0 else heapq.heappop(waiting)) - shift
        packet.pts, packet.duration = timing.pts - shift, timing.duration
        yield packet


def fitted(timing_of: Callable[[int], Timing], format_name: str, info: VideoInfo) -> Callable[[int], Timing]:
    """Timings as a container can keep them."""
    step = 1 / info.rate / info.time_base
    if format_name == "avi":
        return from_zero(timing_of, step)
    return timing_of if keeps_times(format_name) else spaced_evenly(timing_of, step)


def spaced_evenly(timing_of: Callable[[int], Timing], step: Fraction) -> Callable[[int], Timing]:
    """Timings for a container without times: each frame a step, in ticks, after the one before.

    Otherwise two uneven times could become one and the same.
    """
    start = 0

    def timing(number: int) -> Timing:
        nonlocal start
        given = timing_of(number)
        start = start if number else given.pts
        return Timing(start + round(number * step), max(1, round(step)))

    return timing


def from_zero(timing_of: Callable[[int], Timing], step: Fraction) -> Callable[[int], Timing]:
    """Timings of AVI, which shows the first frame at 0: all move if it begins less than a step later."""
    shift = 0

    def timing(number: int) -> Timing:
        nonlocal shift
        given = timing_of(number)
        if number == 0 and 0 < given.pts < step:
            shift = given.pts
        return Timing(given.pts - shift, given.duration)

    return timing


def decode_seconds(packet: Packet) -> Fraction:
    """When a packet is to be decoded; before everything else if it has no time."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-(10**9)) if ticks is None or packet.time_base is None else ticks * packet.time_base
