"""What is settled before the first frame is colored: that film, encoder and container go together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from colorcli.errors import RefusedError, UsageError
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.options import Existing, RunOptions
from colorcli.video.encoder import EncodeSettings
from colorcli.video.formats import is_frame_pattern
from colorcli.video.frame_converter import natural_layout
from colorcli.video.info import PROGRESSIVE, VideoInfo
from colorcli.video.muxer import (
    FORMATS,
    PICTURE_ONLY,
    Clip,
    format_of,
)
from colorcli.video.reader import Filter, Frame, Trim, VideoReader, deinterlacer
from colorcli.video.sequences import PictureWriter, SequenceReader
from colorcli.video.tonemap import ToneMapper, sdr_info
from colorcli.video.trial import rehearse_encoding, rehearse_muxing

STREAM_FORMAT = "matroska"


@dataclass(frozen=True)
class Prepared:
    """A film that is ready to be colored."""

    source: Path
    output: Path
    options: RunOptions
    reader: VideoReader | SequenceReader
    info: VideoInfo
    """As it is colored: after deinterlacing and tone-mapping."""
    format_name: str
    settings: EncodeSettings
    """Its frames are those that go to the encoder: twice as wide for `--compare`."""
    output_info: VideoInfo
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
        return self.trim.clip(self.info, self.origin)

    def frames(self) -> Iterator[Frame]:
        """The frames to be colored."""
        return self.prepare(self.trim.keep(self.reader.frames(), self.info, self.origin))

    def prepare(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Decoded frames as they are to be colored: without fields, in SDR, where that was asked for."""
        film, source = self.options.video, self.reader.info
        if film.deinterlace and source.is_interlaced:
            frames = _filtered(frames, deinterlacer(source))
        return _filtered(frames, ToneMapper(source)) if source.hdr else frames


@contextmanager
def prepared(source: Path, output: Path, options: RunOptions, report: Sink) -> Iterator[Prepared]:
    """Open a film and settle everything.

    Raises:
        ColorcliError: something does not go together, or the film cannot be read.
    """
    if options.color.hints is not None:
        raise UsageError("--hints", "are pixels of one picture, not of a film", "use --references")
    reader = _open_reader(source, output)
    try:
        info = _footage(reader, options)
        trim = Trim.of(options.video.start, options.video.end, info.rate)
        wide = replace(info, width=2 * info.width) if options.compare else info
        if isinstance(reader, SequenceReader):
            for first, last in reader.gaps:
                report(Note(str(source), f"pictures {first} to {last} are missing"))
        if is_frame_pattern(output):
            writer = _writer(output, info, options)
            settings = EncodeSettings(writer.codec, writer.layout, writer.layout.name, ())
            yield Prepared(source, output, options, reader, info, "image2", settings, wide, trim, writer)
            return
        format_name = _format(output, options)
        settings, encoded = rehearse_encoding(wide, format_name, options.video)
        if isinstance(reader, VideoReader) and source != STDIO:
            rehearse_muxing(info, format_name, encoded)
        for message in _remarks(reader, info, settings, format_name):
            report(Note(str(source), message))
        yield Prepared(source, output, options, reader, info, format_name, settings, wide, trim)
    finally:
        reader.close()


def _open_reader(source: Path, output: Path) -> VideoReader | SequenceReader:
    if is_frame_pattern(source):
        return SequenceReader(source)
    return VideoReader(source, keep_packets=STDIO in (source, output))


def _writer(output: Path, info: VideoInfo, options: RunOptions) -> PictureWriter:
    """What writes numbered pictures.

    Raises:
        RefusedError: there are such pictures already, or the kind cannot be written.
    """
    writer = PictureWriter(output, natural_layout(info))
    if options.existing is Existing.REFUSE and (old := writer.existing()):
        raise RefusedError(old, "the output exists already", "choose --overwrite or --resume")
    return writer


def _format(output: Path, options: RunOptions) -> str:
    """The muxer's name for the output.

    Raises:
        UsageError: `--format` names none that can be piped.
    """
    if output != STDIO:
        return format_of(output)
    asked = options.stream_format or STREAM_FORMAT
    name = {"y4m": "yuv4mpegpipe", "mkv": "matroska", "ts": "mpegts"}.get(asked, FORMATS.get(asked, asked))
    if name not in ("matroska", "nut", "yuv4mpegpipe", "mpegts", "webm"):
        raise UsageError(f"--format {asked}", "cannot be written to a pipe", "use mkv, nut, y4m, ts or webm")
    return name


def _footage(reader: VideoReader | SequenceReader, options: RunOptions) -> VideoInfo:
    """The film's facts, as it will be colored.

    Raises:
        RefusedError: it is HDR, which nobody asked to tone-map.
    """
    info = reader.info
    if info.hdr and not options.video.tonemap:
        raise RefusedError(
            info.source, f"is HDR ({info.hdr}), which the network cannot judge", "add --tonemap for SDR"
        )
    if info.hdr:
        info = sdr_info(info)
    return replace(info, field_order=PROGRESSIVE) if options.video.deinterlace else info


def _remarks(
    reader: VideoReader | SequenceReader, info: VideoInfo, settings: EncodeSettings, format_name: str
) -> Iterator[str]:
    """What a careful person would want to know beforehand."""
    if settings.converts and not settings.layout.rgb:
        yield f"{settings.encoder} makes {settings.pix_fmt} of {settings.layout.name}"
    elif info.pix_fmt.replace("yuvj", "yuv") != settings.pix_fmt and info.pix_fmt.startswith("yuv"):
        yield f"{settings.encoder} takes no {info.pix_fmt} of this size, so {settings.pix_fmt} is made"
    if info.is_interlaced:
        yield "interlaced: fields are colored one by one and stay fields; --deinterlace makes frames of them"
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
