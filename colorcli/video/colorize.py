"""A film from end to end."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import cv2

from colorcli._version import __version__
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import InputError
from colorcli.events import Note, Progress, Sink
from colorcli.files import STDIO, atomic_write
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE
from colorcli.networks.card import ModelCard
from colorcli.options import Existing, Outcome, RunOptions, VideoOptions
from colorcli.video.color_sources import known_colors, known_identity
from colorcli.video.contact_sheet import write_contact_sheet
from colorcli.video.encoder import segment_url
from colorcli.video.ffmpeg import version_line
from colorcli.video.file_sink import color_segments, join
from colorcli.video.frame_colorizer import FrameColorizer
from colorcli.video.muxer import state_aspect
from colorcli.video.pipe_sink import stream_film
from colorcli.video.preflight import Prepared, prepared
from colorcli.video.segments import Segments, digest_of
from colorcli.video.sequences import SequenceReader, write_pictures
from colorcli.video.shots import shots_between, write_shots

PROGRESS_SECONDS = 0.2
PROVENANCE_TAGS = ("comment", "description", "synopsis")
"""Where the mark goes: the first of them that the film does not use itself; every container has one."""


def colorize_video(
    source: Path,
    output: Path,
    options: RunOptions,
    predictor: ChromaPredictor,
    sources: object,
    report: Sink,
) -> Outcome:
    """Color one film; its output appears whole or not at all.

    Raises:
        ColorcliError: what failed, and why. A reader who leaves standard output is no failure.
    """
    with prepared(source, output, options, report) as film:
        # Every stage has a thread of its own; OpenCV's own would burn time waiting for work.
        cv2.setNumThreads(1)
        with known_colors(film, predictor, report) as (plan, known):
            frame_colorizer = FrameColorizer(film, predictor, plan=plan, known=known)
            _run(frame_colorizer, predictor.card, report)
        _mention_damage(film, report)
        return _outcome(frame_colorizer)


def _run(frame_colorizer: FrameColorizer, card: ModelCard, report: Sink) -> None:
    film = frame_colorizer.film
    tick = _ticker(film, report)
    if film.pictures is not None:
        frames = ((result.seen.frame.number, frame) for result, frame in frame_colorizer.results())
        reader = film.reader
        head = reader.head if isinstance(reader, SequenceReader) else lambda number: b""
        write_pictures(frames, film.pictures, head, tick)
    elif STDIO in (film.source, film.output):
        _stream(frame_colorizer, card, tick, report)
    else:
        _write(frame_colorizer, card, tick, report)
    if film.options.preserve_times and film.pictures is None and STDIO not in (film.source, film.output):
        times = film.source.stat()
        os.utime(film.output, ns=(times.st_atime_ns, times.st_mtime_ns))
    sheet = film.options.video.contact_sheet
    if sheet is not None and film.output != STDIO and film.pictures is None:
        write_contact_sheet(film.output, sheet)


def _outcome(frame_colorizer: FrameColorizer) -> Outcome:
    facts = {"frames": frame_colorizer.frames, "encoder": frame_colorizer.film.settings.encoder}
    return Outcome("colorized" if frame_colorizer.has_colored else "copied", facts)


def check_video(source: Path, output: Path, options: RunOptions) -> None:
    """Settle what can be settled before any work: container, encoder, policy. Standard input is not touched.

    Raises:
        ColorcliError: the film cannot be colored as asked.
    """
    if source != STDIO:
        with prepared(source, output, options, lambda event: None):
            pass


def _stream(
    frame_colorizer: FrameColorizer, card: ModelCard, tick: Callable[[int], None], report: Sink
) -> None:
    film = frame_colorizer.film
    tags = _tags(film, card)
    if film.output != STDIO:
        with atomic_write(film.output) as partial:
            stream_film(frame_colorizer, segment_url(partial), tags, tick)
            if film.format_name == "matroska":
                state_aspect(partial, film.output_info)
        return
    sys.stdout.flush()
    try:
        stream_film(frame_colorizer, f"pipe:{sys.stdout.fileno()}", tags, tick)
    except BrokenPipeError:
        report(Note(str(film.source), "whoever read the output has had enough"))
        # Python flushes standard output once more on its way out, and must not find it closed then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(
    frame_colorizer: FrameColorizer, card: ModelCard, tick: Callable[[int], None], report: Sink
) -> None:
    film = frame_colorizer.film
    segments = Segments(film.output, _identity(film, card))
    with segments.claimed():
        if segments.open(resume=film.options.existing is Existing.RESUME):
            report(Note(str(film.source), f"continuing after {segments.frames} finished frames"))
        color_segments(frame_colorizer, segments, tick)
        if not segments.frames:
            segments.remove()
            raise _no_frames(film)
        _list_shots(film, segments)
        if _is_left_as_it_is(film, segments):
            with atomic_write(film.output) as partial:
                shutil.copyfile(film.source, partial)
        else:
            join(film, segments, film.output, _tags(film, card))
        segments.remove()


def _no_frames(film: Prepared) -> InputError:
    if film.trim.start or film.trim.end:
        return InputError(film.source, "has no frame between --start and --end", "choose a part within it")
    return InputError(film.source, "holds no frame that can be decoded", "check the file")


def _is_left_as_it_is(film: Prepared, segments: Segments) -> bool:
    """Whether all shots keep their colors and nothing else is asked for: it is copied, byte for byte."""
    asked = replace(film.options.video, shots=None, references=None, contact_sheet=None, stabilize=True)
    same_kind = film.source.suffix.lower() == film.output.suffix.lower()
    as_it_is = asked == VideoOptions() and not film.options.compare and same_kind
    return as_it_is and all(kept for record in segments.records for _, kept in record.shots)


def _list_shots(film: Prepared, segments: Segments) -> None:
    """Write the shot list, unless there is one already."""
    path = film.options.video.shots
    if path is None or path.exists():
        return
    starts = [shot for record in segments.records for shot in record.shots]
    write_shots(path, shots_between(starts, starts[0][0] + segments.frames), film.info.rate)


def _identity(film: Prepared, card: ModelCard) -> dict[str, Any]:
    """All that the output's frames depend on."""
    look = {name: value for name, value in asdict(film.options.color).items() if name != "model"}
    settings = {name: value for name, value in asdict(film.options.video).items() if name != "contact_sheet"}
    return {
        "colorcli": __version__,
        "ffmpeg": version_line(),
        "av": av.__version__,
        "source": _source_identity(film),
        "model": asdict(card),
        "look": look,
        "film": settings,
        "compare": film.options.compare,
        "settings": asdict(film.settings),
        "known": known_identity(film.options),
    }


def _source_identity(film: Prepared) -> object:
    reader = film.reader
    return reader.identity() if isinstance(reader, SequenceReader) else digest_of(film.source)


def _tags(film: Prepared, card: ModelCard) -> dict[str, str]:
    """The mark that algorithms gave the colors, as a tag of the film."""
    if not film.options.color.provenance:
        return {}
    container = film.reader.container
    used = {key.lower() for key in container.metadata} if container else set()
    free = next((tag for tag in PROVENANCE_TAGS if tag not in used), "colorized")
    return {
        free: f"Colorized by colorcli {__version__} with {card.name} {card.version}; {DIGITAL_SOURCE_TYPE}"
    }


def _ticker(film: Prepared, report: Sink) -> Callable[[int], None]:
    """Reports progress, a few times a second at most."""
    latest = 0.0

    def tick(done: int) -> None:
        nonlocal latest
        now = time.monotonic()
        if now - latest > PROGRESS_SECONDS:
            latest = now
            report(Progress(str(film.source), done, film.info.frames))

    return tick


def _mention_damage(film: Prepared, report: Sink) -> None:
    if film.reader.damaged:
        report(Note(str(film.source), f"{film.reader.damaged} damaged packets could not be decoded"))
