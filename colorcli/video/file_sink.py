"""Film to a file: segment by segment, each durable once finished, then joined with the other streams."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet

from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.video.encoder import Encoder, segment_url
from colorcli.video.frame_colorizer import FrameColorizer
from colorcli.video.info import open_video
from colorcli.video.muxer import Clip, Timing, due, numbered, open_output, retime, state_aspect
from colorcli.video.preflight import Prepared
from colorcli.video.reader import LATE
from colorcli.video.segments import Record, Segments
from colorcli.video.stages import Result

SEGMENT = 240
"""Frames after which a segment ends at the next settled one: ten seconds, an encoder's usual key distance."""


def color_segments(frame_colorizer: FrameColorizer, segments: Segments, tick: Callable[[int], None]) -> None:
    """Color all frames that no finished segment holds.

    Raises:
        ColorcliError: decoding or encoding failed; what is finished stays.
    """
    film = frame_colorizer.film
    frame_colorizer.shots = [shot for record in segments.records for shot in record.shots]
    done, recorded = segments.frames, len(frame_colorizer.shots)
    has_color = bool(segments.records) and segments.records[-1].colored
    results = frame_colorizer.results(skip=done, key=segments.last_key(), has_color=has_color)
    for index, part in enumerate(_parts(results), len(segments.records)):
        timings: list[Timing] = []
        last: Result | None = None
        with Encoder(film.settings, film.output_info, segment_url(segments.writing(index))) as encoder:
            for last, frame in part:
                encoder.write(frame)
                timings.append(last.seen.frame.timing)
                done += 1
                tick(done)
            encoder.finish()
        assert last is not None
        shots = frame_colorizer.shots[recorded:]
        recorded = len(frame_colorizer.shots)
        segments.commit(index, Record(timings, shots, last.seen.kept), last.key)


def _parts(
    results: Iterator[tuple[Result, av.VideoFrame]],
) -> Iterator[Iterator[tuple[Result, av.VideoFrame]]]:
    """The results in runs that end with a settled frame and hold at least `SEGMENT`."""
    for first in results:

        def part(pair: tuple[Result, av.VideoFrame] = first) -> Iterator[tuple[Result, av.VideoFrame]]:
            count = 1
            yield pair
            while not (count >= SEGMENT and pair[0].settled):
                following = next(results, None)
                if following is None:
                    return
                pair = following
                count += 1
                yield pair

        yield part()


def join(film: Prepared, segments: Segments, output: Path, tags: dict[str, str]) -> None:
    """Mux the finished segments and the source's other streams into the output, whole or not at all.

    Raises:
        InputError: the output cannot be written.
    """
    timings = [timing for record in segments.records for timing in record.timings]
    clip = _clip(film, timings)
    with atomic_write(output) as partial:
        _mux(film, segments, partial, clip, tags, timings)
        if film.format_name == "matroska":
            state_aspect(partial, film.output_info)


def _mux(
    film: Prepared, segments: Segments, partial: Path, clip: Clip, tags: dict[str, str], timings: list[Timing]
) -> None:
    clock, rate = film.info.time_base, film.info.rate
    shift = round(clip.shift / clock)
    with ExitStack() as opened:
        source = opened.enter_context(open_video(film.source)) if film.reader.container else None
        template = opened.enter_context(
            av.open(segment_url(segments.encoded(0)), format="nut")
        ).streams.video[0]
        target = open_output(
            segment_url(partial), film.format_name, film.output_info, source, template, clip, tags
        )
        opened.enter_context(target.container)
        picture = retime(
            _encoded_packets(segments, rate),
            timings.__getitem__,
            depth=template.codec_context.reorder_depth,
            step=max(1, round(1 / (rate * clock))),
            shift=shift,
        )
        others = [source.streams[index] for index in target.others] if source else []
        timed_picture = ((due(packet) + clip.shift, True, packet) for packet in picture)
        timed_others = (
            (due(packet), False, packet) for packet in (source.demux(*others) if source and others else ())
        )
        for _, is_picture, packet in heapq.merge(timed_picture, timed_others, key=lambda entry: entry[0]):
            (target.mux_picture if is_picture else target.mux)(packet)
        if target.written != len(timings):
            raise InputError(
                film.output, f"holds {target.written} of {len(timings)} frames", "try another --codec"
            )


def _encoded_packets(segments: Segments, rate: Fraction) -> Iterator[Packet]:
    """All finished packets, in order, their pts counting the film's frames."""
    base = 0
    for index, record in enumerate(segments.records):
        with av.open(segment_url(segments.encoded(index)), format="nut") as encoded:
            yield from numbered(encoded.demux(), rate, base)
        base += len(record.timings)


def _clip(film: Prepared, timings: list[Timing]) -> Clip:
    """What is kept of the other streams: exactly from the first frame to the last one's end.

    Where the picture ends long before `--end`, nothing was cut off, and sound may outlast it.
    """
    clock, asked = film.info.time_base, film.clip
    start = timings[0].pts * clock if asked.start is not None else None
    end = (timings[-1].pts + timings[-1].duration) * clock
    cut = asked.end is not None and asked.end < end + LATE
    return Clip(start, end if cut else asked.end)
