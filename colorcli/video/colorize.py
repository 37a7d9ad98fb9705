"""Colorizing a video from end to end."""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import fmean

import cv2
from av.video.frame import VideoFrame

from colorcli._version import __version__
from colorcli.color.detection import has_color
from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE
from colorcli.networks.card import ModelCard
from colorcli.options import Outcome, RunOptions
from colorcli.video.color_sources import open_color_sources, open_memory
from colorcli.video.contact_sheet import evenly_spaced, write_contact_sheet
from colorcli.video.frame_converter import FrameConverter
from colorcli.video.frame_log import FrameLog
from colorcli.video.pipeline import colored_frames
from colorcli.video.preflight import CheckedVideo, preflight
from colorcli.video.shot_log import ShotLog
from colorcli.video.sinks.base import VideoSink
from colorcli.video.sinks.file import FileSink
from colorcli.video.sinks.pictures import PictureSink
from colorcli.video.sinks.pipe import PipeSink

_INSPECTED = 8
"""Frames that a dry run looks at."""
_PROVENANCE_TAGS = ("comment", "description", "synopsis")
"""The mark is written to the first one that the video does not use; every container has one of them."""


def colorize_video(
    source: Path,
    output: Path,
    options: RunOptions,
    predictor: ChromaPredictor,
    sources: ColorSources,
    report: Sink,
) -> Outcome:
    """Colorize a video file, standard input (`-`) or numbered pictures (`frame_%06d.png`).

    The output appears whole or not at all. That the reader of standard output closes it is not an error.

    Raises:
        ColorcliError: what failed, and why.
    """
    # Every stage has a thread of its own; OpenCV's threads would cost time without saving any.
    cv2.setNumThreads(1)
    with preflight(source, output, options, report) as video:
        with _open_sink(video, predictor.card, report) as sink:
            log = FrameLog(video, sink.finished, report)
            memory = open_memory(video, predictor, sources, sink.folder)
            for part in sink.parts(memory):
                log.reopen(*part.redone)
                shot_log = ShotLog(video, report, part, memory, keeps=sink.folder is not None)
                with (
                    open_color_sources(video, part, predictor, sources, report) as hints,
                    colored_frames(video, predictor, hints, part, memory) as frames,
                ):
                    sink.write(log.watch(shot_log.watch(frames)), part, shot_log.summaries)
            sink.finish()
        return finish_output(video, log, report)


def inspect_video(source: Path, output: Path, options: RunOptions, report: Sink) -> Outcome:
    """What `colorize_video` would do with a file, judged by a few of its frames.

    Raises:
        ColorcliError: the video cannot be colorized as asked.
    """
    with preflight(source, output, options, report) as video:
        info = video.info
        frames = video.trim.frames(info)
        facts: dict[str, object] = {"width": info.width, "height": info.height, "frames": frames}
        if options.color.recolor or video.source.container is None:
            return Outcome("to_colorize", facts)
        converter = video.converter()
        seen = [_has_color(frame, converter) for frame in evenly_spaced(source, _INSPECTED)]
        return Outcome("to_copy" if all(seen) else "to_colorize", {**facts, "with_color": fmean(seen)})


def _has_color(picture: VideoFrame, converter: FrameConverter) -> bool:
    planar = converter.planar(picture)
    thumbnail = converter.thumbnail(planar, converter.views(planar, (64, 64)))
    return thumbnail is not None and has_color(*thumbnail)


def check_video(source: Path, output: Path, options: RunOptions) -> None:
    """Check everything that can be checked before the work; standard input is not read.

    Raises:
        ColorcliError: the video cannot be colorized as asked.
    """
    if source != STDIO:
        with preflight(source, output, options, lambda event: None):
            pass


def _open_sink(video: CheckedVideo, card: ModelCard, report: Sink) -> AbstractContextManager[VideoSink]:
    if video.pictures is not None:
        return nullcontext(PictureSink(video.pictures, video.source))
    if STDIO in (video.path, video.output):
        return nullcontext(PipeSink(video, _provenance_tags(video, card), report))
    return open_file_sink(video, card, report)


def open_file_sink(video: CheckedVideo, card: ModelCard, report: Sink) -> AbstractContextManager[FileSink]:
    """The sink for a video file to a file."""
    return FileSink.open(video, card, _provenance_tags(video, card), report)


def finish_output(video: CheckedVideo, log: FrameLog, report: Sink) -> Outcome:
    """Do what is asked for after the output is written, and say what became of the video."""
    if video.source.damaged:
        report(Note(video.name, f"{video.source.damaged} packets are damaged; their frames may be, too"))
    for message in dict.fromkeys(video.source.notes):  # parts of one film find the same
        report(Note(video.name, message))
    if log.keeps_color:
        share = f"{log.keeps_color} of {log.frames} frames"
        message = f"{share} have color already and keep it; --recolor colorizes them"
        report(Note(video.name, message))
    if log.has_own_parts:
        message = "small parts that have color, as a logo, keep it; --recolor colorizes them"
        report(Note(video.name, message))
    source, output, options = video.path, video.output, video.options
    if output != STDIO and video.pictures is None:
        if options.preserve_times and source != STDIO:
            times = source.stat()
            os.utime(output, ns=(times.st_atime_ns, times.st_mtime_ns))
        if options.video.contact_sheet is not None:
            write_contact_sheet(output, options.video.contact_sheet)
    facts: dict[str, object] = {"frames": log.frames, "encoder": video.settings.encoder}
    if log.earlier:
        facts["resumed"] = log.earlier
    return Outcome("copied" if log.keeps_color == log.frames else "colorized", facts)


def _provenance_tags(video: CheckedVideo, card: ModelCard) -> dict[str, str]:
    """The tag that says that the colors are an algorithm's; none with --no-provenance."""
    if not video.options.color.provenance:
        return {}
    container = video.source.container
    used = {key.lower() for key in container.metadata} if container else set()
    free = next((tag for tag in _PROVENANCE_TAGS if tag not in used), "colorized")
    mark = f"Colorized by colorcli {__version__} with {card.name} {card.version}; {DIGITAL_SOURCE_TYPE}"
    return {free: mark}
