"""A last pass by ffmpeg, which writes what PyAV cannot: aspect ratio, some codecs, and attached pictures.

All streams are copied, except audio that is to be encoded.
"""

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import av
from av.stream import Stream

from colorcli.errors import InputError
from colorcli.files import STDIO
from colorcli.video.ffmpeg import FAILURE, file_url, find_ffmpeg, version
from colorcli.video.info import VideoInfo
from colorcli.video.packet_scan import DEMUXERS, scan_packets
from colorcli.video.probe import open_video
from colorcli.video.trim import Clip

_ASPECT_OF_CONTAINER = ("matroska", "webm", "nut", "avi", "yuv4mpegpipe")
"""Containers with an aspect ratio in their header, which PyAV cannot set."""
BASE, EXTRA, SOURCE = range(3)
"""Inputs of the last pass: the finished file, one with the video that PyAV does not write, and the source."""
DEMUXER_NAMES = {
    "webm": "matroska", "mp4": "mov", "3gp": "mov", "ipod": "mov", "vob": "mpeg",
    "mpeg1video": "mpegvideo", "mpeg2video": "mpegvideo", "mxf_d10": "mxf", "mxf_opatom": "mxf",
}  # fmt: skip
"""Demuxers whose name is not the muxer's."""
_FIELD_ORDERS = {1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}
_BITS_PER_CHANNEL = 96_000
"""Bits per second of encoded audio: transparent to most ears with AAC, more so with Opus."""
_ATTACHED = av.stream.Disposition.attached_pic
_FILE_TYPES = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png"), "bmp": ("bmp", "image/bmp")}


class Attachment(NamedTuple):
    """A file inside a container."""

    name: str
    mime_type: str
    content: bytes


class CopiedStream(NamedTuple):
    """A stream of the output."""

    origin: int
    """Input that it comes from: the finished file, the extra one, or the source."""
    source_index: int
    """Its index in the source."""
    type: str
    disposition: av.stream.Disposition
    encoder: str | None = None
    """ffmpeg's encoder if it is not copied."""
    channels: int = 0
    """Of audio that is encoded."""


@dataclass
class Remux:
    """What the last pass does."""

    url: str
    format_name: str
    info: VideoInfo
    options: dict[str, str]
    """Of the muxer."""
    clip: Clip
    streams: list[CopiedStream] = field(default_factory=list)
    """In the output's order."""
    attachments: list[Attachment] = field(default_factory=list)

    def add(self, origin: int, stream: Stream, encoder: str | None = None) -> None:
        channels = stream.codec_context.channels if encoder else 0  # type: ignore[attr-defined]
        added = CopiedStream(origin, stream.index, stream.type, stream.disposition, encoder, channels)
        self.streams.append(added)

    @property
    def is_file(self) -> bool:
        return not self.url.startswith("pipe:")

    @property
    def can_reread(self) -> bool:
        """Whether streams can be taken from the source: a file with one rising clock, into a file."""
        source = self.info.source
        return self.is_file and source != STDIO and scan_packets(source).is_regular

    @property
    def extra_url(self) -> str:
        return f"{self.url}.extra.nut"

    @property
    def origins(self) -> list[int]:
        """The inputs that are needed, in order."""
        return sorted({stream.origin for stream in self.streams})

    @property
    def aspect(self) -> str | None:
        # Video in the extra file has lost its aspect ratio, whatever the container.
        return display_aspect("nut" if EXTRA in self.origins else self.format_name, self.info)


def display_aspect(format_name: str, info: VideoInfo) -> str | None:
    """The display aspect ratio that the container's header has to state, None if it need not."""
    if info.sample_aspect in (None, 1) or format_name not in _ASPECT_OF_CONTAINER:
        return None
    ratio = info.sample_aspect * info.width / info.height
    return f"{ratio.numerator}:{ratio.denominator}"


def can_turn() -> bool:
    """Whether ffmpeg can set a display matrix: from version 6 on."""
    return version(find_ffmpeg()) >= (6, 0)


def attachment_of(stream: Stream, source: Path) -> Attachment | None:
    """The attached picture that a stream is, None if it is something else."""
    codec = stream.codec_context.name if stream.codec_context else ""
    if not stream.disposition & _ATTACHED or codec not in _FILE_TYPES:
        return None
    suffix, mime_type = _FILE_TYPES[codec]
    with open_video(source) as container:
        packets = container.demux(container.streams[stream.index])
        content = next((bytes(packet) for packet in packets if packet.size), b"")
    tags = stream.metadata
    return Attachment(tags.get("filename", f"cover.{suffix}"), tags.get("mimetype", mime_type), content)


def write_remuxed(path: Path, remux: Remux, seconds: float | None = None) -> None:
    """Write what PyAV could not into a finished file.

    Args:
        seconds: length to be copied, everything if None.

    Raises:
        InputError: ffmpeg failed.
    """
    rewritten, extra = path.with_name(f"{path.name}.remux"), path.with_name(f"{path.name}.extra.nut")
    try:
        if remux.origins == [BASE] and remux.aspect is None:
            return
        with tempfile.TemporaryDirectory(prefix="colorcli-") as folder:
            command = remux_command(remux, file_url(path), file_url(rewritten), Path(folder), seconds)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InputError(path, f"{FAILURE}{done.stderr}", "name the output .mkv")
        rewritten.replace(path)
    finally:
        rewritten.unlink(missing_ok=True)
        extra.unlink(missing_ok=True)


@contextmanager
def remuxed_stdout(format_name: str, info: VideoInfo) -> Iterator[str]:
    """The URL of standard output, or of an ffmpeg that writes the aspect ratio on the way there.

    Raises:
        BrokenPipeError: the reader has closed standard output.
        InputError: ffmpeg failed.
    """
    aspect = display_aspect(format_name, info)
    if aspect is None:
        yield f"pipe:{sys.stdout.fileno()}"
        return
    name = DEMUXER_NAMES.get(format_name, format_name)
    command = [
        find_ffmpeg(),
        "-hide_banner",
        "-v",
        "error",
        "-nostats",
        "-copyts",
        "-f",
        name,
        "-i",
        "pipe:0",
    ]
    command += ["-map", "0", "-c", "copy", "-copy_unknown", "-avoid_negative_ts", "disabled"]
    command += [*_y4m_arguments(format_name), *_aspect_arguments(format_name, info, aspect)]
    command += ["-flush_packets", "1", "-f", format_name, "pipe:1"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=sys.stdout.fileno(),
            stderr=messages,
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            yield f"pipe:{process.stdin.fileno()}"
            process.stdin.close()
            if process.wait() != 0:
                messages.seek(0)
                text = messages.read().decode(errors="replace")
                if "Broken pipe" in text:
                    raise BrokenPipeError
                raise InputError(info.source, f"{FAILURE}{text}", "choose another --format")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                process.stdin.close()


def remux_command(
    remux: Remux, url: str, target: str, folder: Path, seconds: float | None = None
) -> list[str]:
    """The ffmpeg command for the last pass; the attachments are written to `folder`."""
    command = [find_ffmpeg(), "-hide_banner", "-v", "error", "-nostats", "-nostdin", "-y", "-copyts"]
    for origin in remux.origins:
        command += _input(remux, origin, url)
    for origin, index in _input_streams(remux):
        command += ["-map", f"{remux.origins.index(origin)}:{index}"]
    if remux.format_name == "matroska" and BASE in remux.origins:
        command += ["-map", "0:t?"]
    command += ["-c", "copy", "-copy_unknown", "-avoid_negative_ts", "disabled"]
    command += _encoding(remux)
    command += ["-map_metadata", "0", "-map_chapters", "0"]
    if remux.aspect is not None and not _is_stated(remux, url):
        command += _aspect_arguments(remux.format_name, remux.info, remux.aspect)
    command += _descriptions(remux)
    for number, attachment in enumerate(remux.attachments):
        (folder / str(number)).write_bytes(attachment.content)
        command += ["-attach", str(folder / str(number))]
    for number, attachment in enumerate(remux.attachments, len(remux.streams)):
        command += [f"-metadata:s:{number}", f"filename={attachment.name}"]
        command += [f"-metadata:s:{number}", f"mimetype={attachment.mime_type}"]
    for name, value in remux.options.items():
        command += [f"-{name}", value]
    if SOURCE in remux.origins and remux.clip.end is not None:
        # Not an option of the input: -itsoffset would move its end.
        command += ["-to", f"{float(remux.clip.end - remux.clip.shift):.6f}"]
    command += ["-t", str(seconds)] if seconds else []
    return [*command, "-f", remux.format_name, target]


def _is_stated(remux: Remux, url: str) -> bool:
    """Whether the bitstream states the aspect ratio exactly, as ffmpeg's option does only up to 255:255."""
    url = remux.extra_url if EXTRA in remux.origins else url
    name = "nut" if EXTRA in remux.origins else DEMUXER_NAMES.get(remux.format_name, remux.format_name)
    with suppress(av.FFmpegError), av.open(url, "r", format=name, metadata_errors="replace") as finished:
        return bool(finished.streams.video[0].sample_aspect_ratio == remux.info.sample_aspect)
    return False


def _input(remux: Remux, origin: int, url: str) -> list[str]:
    """The arguments for an input."""
    if origin == BASE:
        return ["-f", DEMUXER_NAMES.get(remux.format_name, remux.format_name), "-i", url]
    if origin == EXTRA:
        return ["-f", "nut", *_turn(remux.info), "-i", f"{url}.extra.nut"]
    clip, times = remux.clip, list[str]()
    if clip.start is not None:
        times += ["-ss", f"{float(clip.start):.6f}", "-itsoffset", f"{-float(clip.shift):.6f}"]
    allowed = ["-format_whitelist", DEMUXERS, "-protocol_whitelist", "file,pipe"]
    return [*allowed, *times, "-i", file_url(remux.info.source)]


def _turn(info: VideoInfo) -> list[str]:
    """Arguments that give an input the source's display matrix; its scale and offset are lost."""
    if info.display_matrix is None:
        return []
    a, b, _, c, d = info.display_matrix[:5]
    is_mirrored = a * d - b * c < 0  # ffmpeg turns first, and mirrors the x axis then
    degrees = math.degrees(math.atan2(c, a)) if not is_mirrored else math.degrees(math.atan2(-c, -a))
    return ["-display_rotation", f"{degrees:.6f}", *(["-display_hflip"] if is_mirrored else [])]


def _input_streams(remux: Remux) -> list[tuple[int, int]]:
    """Input and index of every stream in the output's order; demuxers put attached pictures last."""
    counts = {BASE: 0, EXTRA: 0}
    found: dict[int, tuple[int, int]] = {}
    order = sorted(enumerate(remux.streams), key=lambda entry: bool(entry[1].disposition & _ATTACHED))
    for place, stream in order:
        if stream.origin == SOURCE:
            found[place] = (SOURCE, stream.source_index)
        elif stream.type != "attachment":
            found[place] = (stream.origin, counts[stream.origin])
            counts[stream.origin] += 1
    return [found[place] for place in sorted(found)]


def _y4m_arguments(format_name: str) -> list[str]:
    """What the muxer of Y4M needs: before ffmpeg 6 it takes no packets of raw video, only whole frames."""
    if format_name != "yuv4mpegpipe":
        return []
    return ["-c:v", "wrapped_avframe", "-strict", "-1", "-fps_mode", "passthrough"]


def _aspect_arguments(format_name: str, info: VideoInfo, aspect: str) -> list[str]:
    if format_name != "yuv4mpegpipe" or info.sample_aspect is None:
        return ["-aspect:v:0", aspect]
    # Of frames instead of packets, a filter sets it exactly.
    return ["-vf", f"setsar={info.sample_aspect.numerator}/{info.sample_aspect.denominator}"]


def _encoding(remux: Remux) -> list[str]:
    """Arguments for the streams that are not copied."""
    arguments = _y4m_arguments(remux.format_name)
    streams = [stream for stream in remux.streams if stream.type != "attachment"]
    for index, stream in enumerate(streams):
        if stream.encoder:
            bits = _BITS_PER_CHANNEL * max(1, stream.channels)
            arguments += [f"-c:{index}", stream.encoder, f"-b:{index}", str(bits)]
        if stream.encoder == "libopus":  # refuses 5.1(side), which AC-3 has
            arguments += [f"-filter:{index}", "aformat=channel_layouts=7.1|5.1|quad|stereo|mono"]
    return arguments


def _descriptions(remux: Remux) -> list[str]:
    """Arguments for what NUT does not carry: dispositions and color tags."""
    info, arguments = remux.info, list[str]()
    streams = [stream for stream in remux.streams if stream.type != "attachment"]
    for index, stream in enumerate(streams):
        if stream.origin == BASE:
            continue
        flags = "+".join(flag.name or "" for flag in av.stream.Disposition if flag & stream.disposition)
        arguments += [f"-disposition:{index}", flags or "0"]
        if stream.origin == EXTRA:
            for name, value in (
                ("color_range", info.stated_range), ("colorspace", info.matrix_tag),
                ("color_trc", info.transfer), ("color_primaries", info.primaries),
                ("field_order", _FIELD_ORDERS.get(info.field_order)),
            ):  # fmt: skip
                arguments += [f"-{name}:{index}", str(value)] if value is not None else []
    return arguments
