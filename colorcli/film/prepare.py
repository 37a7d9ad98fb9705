"""What is settled before the first frame is coloured: that film, encoder and container go together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import av

from colorcli.core.errors import RefusedError, UsageError
from colorcli.events import Note, Sink
from colorcli.film.canvas import natural_layout
from colorcli.film.decode import FilmReader, Filter, Frame, Trim, deinterlacer
from colorcli.film.encode import Recipe
from colorcli.film.footage import PROGRESSIVE, Footage
from colorcli.film.mux import (
    FORMATS,
    PICTURE_ONLY,
    Clip,
    format_of,
)
from colorcli.film.rehearse import rehearse_encoding, rehearse_muxing
from colorcli.film.sequences import PictureWriter, SequenceReader, is_pattern
from colorcli.film.tonemap import ToneMapper, sdr_footage
from colorcli.options import Existing, RunOptions
from colorcli.plan import STREAM, Job

STREAM_FORMAT = "matroska"


@dataclass(frozen=True)
class Prepared:
    """A film that is ready to be coloured."""

    job: Job
    options: RunOptions
    reader: FilmReader | SequenceReader
    footage: Footage
    """As it is coloured: after deinterlacing and tone-mapping."""
    format_name: str
    recipe: Recipe
    """Its frames are those that go to the encoder: twice as wide for `--compare`."""
    output_footage: Footage
    trim: Trim
    pictures: PictureWriter | None = None
    """What writes the output, where that is numbered pictures."""

    @property
    def origin(self) -> Fraction:
        """The film's first moment, in seconds of its own clock."""
        container = self.reader.container
        return Fraction((container.start_time if container else 0) or 0, av.time_base)

    @property
    def clip(self) -> Clip:
        return self.trim.clip(self.footage, self.origin)

    def frames(self) -> Iterator[Frame]:
        """The frames to be coloured."""
        return self.prepare(self.trim.keep(self.reader.frames(), self.footage, self.origin))

    def prepare(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Decoded frames as they are to be coloured: without fields, in SDR, where that was asked for."""
        film, source = self.options.film, self.reader.footage
        if film.deinterlace and source.is_interlaced:
            frames = _filtered(frames, deinterlacer(source))
        return _filtered(frames, ToneMapper(source)) if source.hdr else frames


@contextmanager
def prepared(job: Job, options: RunOptions, report: Sink) -> Iterator[Prepared]:
    """Open a film and settle everything.

    Raises:
        ColorcliError: something does not go together, or the film cannot be read.
    """
    if options.look.hints is not None:
        raise UsageError("--hints", "are pixels of one picture, not of a film", "use --references")
    reader = _open_reader(job)
    try:
        footage = _footage(reader, options)
        trim = Trim.of(options.film.start, options.film.end, footage.rate)
        wide = replace(footage, width=2 * footage.width) if options.compare else footage
        if isinstance(reader, SequenceReader):
            for first, last in reader.gaps:
                report(Note(str(job.source), f"pictures {first} to {last} are missing"))
        if is_pattern(job.output):
            writer = _writer(job, footage, options)
            recipe = Recipe(writer.codec, writer.layout, writer.layout.name, ())
            yield Prepared(job, options, reader, footage, "image2", recipe, wide, trim, writer)
            return
        format_name = _format(job, options)
        recipe, encoded = rehearse_encoding(wide, format_name, options.film)
        if isinstance(reader, FilmReader) and job.source != STREAM:
            rehearse_muxing(footage, format_name, encoded)
        for message in _remarks(reader, footage, recipe, format_name):
            report(Note(str(job.source), message))
        yield Prepared(job, options, reader, footage, format_name, recipe, wide, trim)
    finally:
        reader.close()


def _open_reader(job: Job) -> FilmReader | SequenceReader:
    if is_pattern(job.source):
        return SequenceReader(job.source)
    return FilmReader(job.source, keep_packets=STREAM in (job.source, job.output))


def _writer(job: Job, footage: Footage, options: RunOptions) -> PictureWriter:
    """What writes numbered pictures.

    Raises:
        RefusedError: there are such pictures already, or the kind cannot be written.
    """
    writer = PictureWriter(job.output, natural_layout(footage))
    if options.existing is Existing.REFUSE and (old := writer.existing()):
        raise RefusedError(old, "the output exists already", "choose --overwrite or --resume")
    return writer


def _format(job: Job, options: RunOptions) -> str:
    """The muxer's name for the output.

    Raises:
        UsageError: `--format` names none that can be piped.
    """
    if job.output != STREAM:
        return format_of(job.output)
    asked = options.stream_format or STREAM_FORMAT
    name = {"y4m": "yuv4mpegpipe", "mkv": "matroska", "ts": "mpegts"}.get(asked, FORMATS.get(asked, asked))
    if name not in ("matroska", "nut", "yuv4mpegpipe", "mpegts", "webm"):
        raise UsageError(f"--format {asked}", "cannot be written to a pipe", "use mkv, nut, y4m, ts or webm")
    return name


def _footage(reader: FilmReader | SequenceReader, options: RunOptions) -> Footage:
    """The film's facts, as it will be coloured.

    Raises:
        RefusedError: it is HDR, which nobody asked to tone-map.
    """
    footage = reader.footage
    if footage.hdr and not options.film.tonemap:
        raise RefusedError(
            footage.source, f"is HDR ({footage.hdr}), which the network cannot judge", "add --tonemap for SDR"
        )
    if footage.hdr:
        footage = sdr_footage(footage)
    return replace(footage, field_order=PROGRESSIVE) if options.film.deinterlace else footage


def _remarks(
    reader: FilmReader | SequenceReader, footage: Footage, recipe: Recipe, format_name: str
) -> Iterator[str]:
    """What a careful person would want to know beforehand."""
    if recipe.converts and not recipe.layout.rgb:
        yield f"{recipe.encoder} makes {recipe.pix_fmt} of {recipe.layout.name}"
    elif footage.pix_fmt.replace("yuvj", "yuv") != recipe.pix_fmt and footage.pix_fmt.startswith("yuv"):
        yield f"{recipe.encoder} takes no {footage.pix_fmt} of this size, so {recipe.pix_fmt} is made"
    if footage.is_interlaced:
        yield "interlaced: fields are coloured one by one and stay fields; --deinterlace makes frames of them"
    if isinstance(reader, SequenceReader):
        return
    streams = reader.container.streams
    moving = [s for s in streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    for stream in moving[1:]:
        yield f"stream {stream.index} is another moving picture; it is copied as it is"
    if format_name in PICTURE_ONLY and len(streams) > 1:
        yield "y4m holds the picture only: sound and all other streams are left out"


def _filtered(frames: Iterator[Frame], change: Filter) -> Iterator[Frame]:
    """Frames through a filter that may hold some back, with their own numbers and times."""
    timings: list[Frame] = []
    for frame in frames:
        timings.append(frame)
        for picture in change(frame.picture):
            yield replace(timings.pop(0), picture=picture)
    for picture in change(None):
        yield replace(timings.pop(0), picture=picture)
