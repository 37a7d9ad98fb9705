"""Everything that is checked before the first frame is colorized: source, options, encoder and container."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, dropwhile, islice
from pathlib import Path

from av.container import InputContainer

from colorcli.errors import InputError, RefusedError, UsageError
from colorcli.events import Note, Sink
from colorcli.files import STDIO
from colorcli.options import Existing, RunOptions, VideoOptions
from colorcli.video.captions import loses_captions
from colorcli.video.constant_rate import check_constant_rate
from colorcli.video.containers import MATROSKA, QUICKTIME, VIDEO_ONLY, muxer_of, piped_muxer
from colorcli.video.encode_settings import EncodeSettings
from colorcli.video.encoder_defaults import UNFLAGGED
from colorcli.video.fields import look_for_fields
from colorcli.video.filters import apply_filters, filtered_info
from colorcli.video.formats import is_frame_pattern
from colorcli.video.frame_converter import FrameConverter, open_converter
from colorcli.video.frames import Frame
from colorcli.video.given_colors import NOTHING_GIVEN, GivenColors
from colorcli.video.hidden_content import lost_matroska_elements
from colorcli.video.info import BOTTOM_FIRST, LIMITED, TOP_FIRST, VideoInfo
from colorcli.video.part import Place, frame_checksum
from colorcli.video.pixel_formats import natural_layout
from colorcli.video.probe import moving_streams
from colorcli.video.shot_list import ShotList, read_shot_list
from colorcli.video.sinks.pictures import PictureWriter
from colorcli.video.sources.base import FrameSource
from colorcli.video.sources.pictures import PictureSource, parse_rate
from colorcli.video.sources.video_file import VideoFileSource
from colorcli.video.streams import AUDIO_ENCODERS, NO_STREAMS, StreamChoice, choose_streams, is_navigation
from colorcli.video.trial import try_encoding, try_muxing
from colorcli.video.trim import Clip, Trim

_FIELD_ORDERS = {"tff": TOP_FIRST, "bff": BOTTOM_FIRST}
_LOOKED_AT = 100
"""Frames at the beginning in which fields are looked for."""


@dataclass(frozen=True, kw_only=True)
class VideoSpec:
    """A video that can be colorized as asked, as values that can be sent to another process."""

    path: Path
    output: Path
    options: RunOptions
    source_info: VideoInfo
    """As the source is, with its field order resolved."""
    info: VideoInfo
    """As it is colorized: after deinterlacing and tone mapping."""
    output_info: VideoInfo
    """As it is encoded: twice as wide for `--compare`."""
    format_name: str
    """The muxer's name; `image2` for numbered pictures."""
    settings: EncodeSettings
    trim: Trim
    """What --start and --end leave of it."""
    shots: ShotList
    """The user's, empty without one."""
    given: GivenColors = NOTHING_GIVEN


@dataclass(frozen=True, kw_only=True)
class CheckedVideo(VideoSpec):
    """An open video that can be colorized as asked."""

    source: FrameSource
    streams: StreamChoice = NO_STREAMS
    """The source's streams that go along."""
    pictures: PictureWriter | None = None
    """Writes the output if it is numbered pictures."""

    @property
    def name(self) -> str:
        """What events and messages call it."""
        return str(self.path)

    @property
    def clip(self) -> Clip:
        return self.trim.clip(self.info, self.source.origin)

    def frames(self, before: Place | None = None) -> Iterator[Frame]:
        """The frames to be colorized; with `before`, that frame and those after it.

        Where the file cannot be sought safely, it is read from its beginning.
        """
        if before is None:
            return self._kept(self.source.frames())
        frames = dropwhile(lambda frame: frame.number < before.number, self._kept(self.source.frames(before)))
        found = next(frames, None)
        if found is not None and self._checksum(found) == before.checksum:
            return chain([found], frames)
        self.source.restart()
        return dropwhile(lambda frame: frame.number < before.number, self._kept(self.source.frames()))

    def no_frames(self) -> InputError:
        """The error for a video without frames to be colorized."""
        if self.trim.start or self.trim.end:
            cause = "has no frame between --start and --end"
            return InputError(self.name, cause, "choose a part within the video")
        return InputError(self.name, "has no frame that can be decoded", "check the file")

    def converter(self) -> FrameConverter:
        return open_converter(self.info, self.settings.layout, compare=self.options.compare)

    def _checksum(self, frame: Frame) -> int:
        return frame_checksum(replace(frame, picture=self.converter().planar(frame.picture)))

    def _kept(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return self._filtered(self.trim.keep(frames, self.info, self.source.origin))

    def _filtered(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        return apply_filters(frames, self.source.info, self.options.video)


@contextmanager
def preflight(source: Path, output: Path, options: RunOptions, report: Sink) -> Iterator[CheckedVideo]:
    """Open a video and check that it can be colorized as asked.

    Raises:
        ColorcliError: it cannot be read, or options, encoder and container do not fit it.
    """
    _check_side_outputs(source, output, options.video)
    with _open_source(source, output, options.video.fps) as opened:
        found = _resolve_fields(opened, options)
        video = _check(opened, output, options)
        if found:
            report(Note(video.name, found))
        for message in _notes(video):
            report(Note(video.name, message))
        yield video


@contextmanager
def open_to_look(source: Path, options: RunOptions) -> Iterator[CheckedVideo]:
    """Open a video that is looked at only: nothing is encoded.

    Raises:
        ColorcliError: it cannot be read, or the options do not fit it.
    """
    with _open_source(source, Path(), options.video.fps) as opened:
        _resolve_fields(opened, options)
        info = filtered_info(opened.info, options.video)
        layout = natural_layout(info)
        settings = EncodeSettings("", layout, layout.name, ())
        trim = Trim.parse(options.video.start, options.video.end, info.rate)
        shots = read_shot_list(options.video.shots)
        yield CheckedVideo(
            source=opened,
            path=source,
            output=Path(),
            options=options,
            source_info=opened.info,
            info=info,
            output_info=info,
            format_name="",
            settings=settings,
            trim=trim,
            shots=shots,
            given=GivenColors.read(source, options, info, shots),
        )


def open_source(spec: VideoSpec) -> FrameSource:
    """The source of a video that was checked elsewhere."""
    source = _open_source(spec.path, spec.output, spec.options.video.fps)
    source.info = spec.source_info
    return source


def _open_source(source: Path, output: Path, fps: str | None) -> FrameSource:
    if is_frame_pattern(source):
        return PictureSource(source, parse_rate(fps) if fps else None)
    if fps:
        cause = "is for numbered frames; a film keeps its own rate"
        raise UsageError(f"--fps {fps}", cause, "leave it out")
    return VideoFileSource(source, keep_packets=STDIO in (source, output))


def _resolve_fields(source: FrameSource, options: RunOptions) -> str | None:
    """Correct the source's field order as asked for, and for --deinterlace by its lines; what to note.

    Raises:
        UsageError: --field-order has another value than tff and bff.
    """
    info, asked = source.info, options.video.field_order
    note = None
    if asked is not None and asked not in _FIELD_ORDERS:
        raise UsageError(f"--field-order {asked}", "is not a field order", "choose tff or bff")
    if asked is None and options.video.deinterlace and not info.is_interlaced:
        if source.path == STDIO:
            return "names no fields, so it is not deinterlaced; --field-order tff or bff names them"
        with source.reopen() as second:
            seen = (frame.picture for frame in islice(second.frames(), _LOOKED_AT))
            asked = look_for_fields(seen)
        if asked is None:
            return "no fields are named or seen, so it is not deinterlaced; --field-order names them"
        name = "top" if asked == "tff" else "bottom"
        note = f"names no fields; deinterlaced by what its lines show, {name} field first"
    if asked is not None and info.field_order not in _FIELD_ORDERS[asked]:
        source.info = replace(info, field_order=_FIELD_ORDERS[asked][0])
    return note


def _check_side_outputs(source: Path, output: Path, options: VideoOptions) -> None:
    """Check that what else is asked for can be written beside the output."""
    is_pictures = is_frame_pattern(output)
    if options.contact_sheet is not None and (output == STDIO or is_pictures):
        cause = "needs a film file as output"
        raise UsageError("--contact-sheet", cause, "leave it out, or name a file for OUT")
    if (
        options.shots is not None
        and not options.shots.exists()
        and (is_pictures or STDIO in (source, output))
    ):
        cause = f"{options.shots} does not exist, and only a run from film file to film file writes one"
        raise UsageError("--shots", cause, "write it with `colorcli shots` first")


def _check(source: FrameSource, output: Path, options: RunOptions) -> CheckedVideo:
    info = filtered_info(source.info, options.video)
    trim = Trim.parse(options.video.start, options.video.end, info.rate)
    output_info = replace(info, width=2 * info.width) if options.compare else info
    writer, streams = None, NO_STREAMS
    if is_frame_pattern(output):
        writer = _open_writer(output, info, options)
        format_name, settings = "image2", EncodeSettings(writer.codec, writer.layout, writer.layout.name, ())
    else:
        format_name = piped_muxer(options.format) if output == STDIO else muxer_of(output)
        settings, encoded = try_encoding(output_info, format_name, options.video)
        if settings.limits_range:
            output_info = replace(output_info, range=LIMITED)
        if source.container is not None:
            streams = choose_streams(source.container, info, format_name, options.video)
            if STDIO in (source.path, output) and streams.audio in AUDIO_ENCODERS:
                cause = "audio cannot be encoded on its way through a pipe"
                remedy = "choose --audio copy or none, or name files"
                raise UsageError(f"--audio {streams.audio}", cause, remedy)
            if source.path != STDIO:
                try_muxing(replace(info, range=output_info.range), format_name, encoded, streams)
    shots = read_shot_list(options.video.shots)
    return CheckedVideo(
        path=source.path,
        output=output,
        options=options,
        source_info=source.info,
        info=info,
        output_info=output_info,
        format_name=format_name,
        settings=settings,
        trim=trim,
        shots=shots,
        given=GivenColors.read(source.path, options, info, shots),
        source=source,
        streams=streams,
        pictures=writer,
    )


def _open_writer(output: Path, info: VideoInfo, options: RunOptions) -> PictureWriter:
    """The writer of numbered pictures.

    Raises:
        RefusedError: there are such pictures already, or the format cannot be written.
    """
    writer = PictureWriter(output, natural_layout(info))
    if options.existing is Existing.REFUSE and (existing := writer.existing()):
        raise RefusedError(existing, "the output exists already", "choose --overwrite or --resume")
    return writer


def _notes(video: CheckedVideo) -> Iterator[str]:
    """What the user should know before the work starts."""
    source = video.source
    if isinstance(source, PictureSource):
        for first, last in source.gaps:
            yield f"pictures {first} to {last} are missing"
    if isinstance(source, VideoFileSource):
        yield from source.scan.notes()
    yield from _shot_list_notes(video)
    if video.options.video.tonemap and video.source_info.hdr is None:
        yield "names no HDR transfer function, so it is not tone mapped"
    if video.info.display_matrix and video.format_name not in (*QUICKTIME, *MATROSKA):
        yield f"is shown turned; {video.format_name} cannot say so, and its frames stay as they are stored"
    if video.pictures is not None:
        return
    yield from _encoding_notes(video.info, video.settings)
    if video.info.is_interlaced and _hides_fields(video.settings.encoder, video.format_name):
        yield f"{video.settings.encoder} in {video.format_name} does not say which field comes first"
    if source.container is not None:
        yield from _stream_notes(video, source.container)


def _shot_list_notes(video: CheckedVideo) -> Iterator[str]:
    if not video.shots.shots:
        return
    start, end = 0, (video.info.frames or 0) - round(video.info.rate)  # headers miscount by a few frames
    if video.trim.start:
        start = video.shots.shots[0].start
    gaps = video.shots.gaps(start, 0 if video.trim.end else end)
    if gaps:
        count = f" ({len(gaps)} gaps in all)" if gaps[1:] else ""
        yield (
            f"{video.options.video.shots} has no row for frame {gaps[0]}{count}; "
            "frames without a row are done as without a list"
        )


def _encoding_notes(info: VideoInfo, settings: EncodeSettings) -> Iterator[str]:
    if settings.converts and not settings.layout.rgb:
        yield f"{settings.encoder} converts {settings.layout.name} to {settings.pix_fmt}"
    elif info.pix_fmt.replace("yuvj", "yuv") != settings.pix_fmt and info.pix_fmt.startswith("yuv"):
        yield f"{settings.encoder} takes no {info.pix_fmt} of this size, so {settings.pix_fmt} is encoded"
    if settings.limits_range:
        cause = f"is full range, which {settings.encoder} in this container cannot state"
        yield f"{cause}; stored as limited range, where --codec ffv1 and .mkv would keep all values"
    if info.is_interlaced:
        yield "interlaced: fields are colorized separately and stay fields, unless --deinterlace is given"


def _hides_fields(encoder: str, format_name: str) -> bool:
    return encoder in UNFLAGGED and format_name not in (*QUICKTIME, *MATROSKA, "mxf")


def _stream_notes(video: CheckedVideo, container: InputContainer) -> Iterator[str]:
    if video.format_name in VIDEO_ONLY and len(container.streams) > 1:
        yield "y4m holds one video stream only: audio and all other streams are left out"
    if video.source.path != STDIO:
        yield from check_constant_rate(video.info, video.format_name, video.streams, video.clip)
    for stream in moving_streams(container):
        if stream.index in video.streams.indices:
            yield f"stream {stream.index} is another video stream; it is copied unchanged"
    for data in container.streams:
        if is_navigation(data):
            yield f"stream {data.index} is a DVD's navigation, which has no use outside the disc; left out"
    if video.source.path != STDIO and loses_captions(video.source.path, video.settings.encoder):
        cause = f"closed captions (EIA-608/708) cannot be kept with {video.settings.encoder}"
        yield f"{cause}; choose --codec libx264, libx265 or mpeg2video, or extract them first"
    if "matroska" in container.format.name and video.source.path != STDIO:
        for lost in lost_matroska_elements(video.source.path):
            yield f"{lost} cannot be kept"
