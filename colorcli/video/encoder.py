"""The encoder process: ffmpeg encodes frames that it is given on its standard input.

It reads raw video in NUT and writes encoded video in NUT. Frames are numbered, not timed, so that the encoder
sees a constant frame rate and never drops or repeats a frame; the muxer restores the source's timestamps.
"""

from typing import Any, Self

import av
import ffmpeg
from av.video.frame import VideoFrame

from colorcli.video.encode_settings import EncodeSettings
from colorcli.video.ffmpeg import Process, find_ffmpeg
from colorcli.video.info import LIMITED, RGB, UNSPECIFIED, VideoInfo
from colorcli.video.pixel_formats import planar_layout

BT709_TAG = 1


class Encoder:
    """An ffmpeg process that encodes frames to `target`. A context manager that kills it on an error."""

    def __init__(self, settings: EncodeSettings, info: VideoInfo, target: str) -> None:
        """`target`: a URL for ffmpeg; `pipe:1` gives the encoded video on `process.stdout`."""
        self.frames = 0
        """How many frames were written."""
        self._rate = info.rate
        command = encode_command(settings, info, target)
        self.process = Process(command, subject=info.source, read_output=target.startswith("pipe:"))
        self._raw = av.open(f"pipe:{self.process.stdin.fileno()}", "w", format="nut")
        self._stream = self._raw.add_stream("rawvideo", rate=info.rate)
        self._stream.width, self._stream.height = info.width, info.height
        self._stream.pix_fmt = settings.layout.name
        self._stream.codec_context.time_base = 1 / info.rate

    def write(self, frame: VideoFrame) -> None:
        """Pass on the next frame; waits while the encoder is busy.

        Raises:
            InputError: the encoder failed; the message gives its reason.
        """
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        try:
            self._raw.mux(self._stream.encode(frame))
        except BrokenPipeError as error:
            raise self.process.failure() from error
        self.frames += 1

    def end_input(self) -> None:
        """Signal the end of the frames.

        Raises:
            InputError: the encoder failed.
        """
        try:
            self._raw.mux(self._stream.encode(None))
            self._raw.close()
            self.process.stdin.close()
        except BrokenPipeError as error:
            raise self.process.failure() from error

    def finish(self) -> None:
        """End the input and wait until everything is encoded.

        Raises:
            InputError: the encoder failed.
        """
        self.end_input()
        self.process.finish()

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.process.__exit__(*error)


def encode_command(settings: EncodeSettings, info: VideoInfo, target: str) -> list[str]:
    """The ffmpeg command that encodes standard input to `target`."""
    frames = ffmpeg.input("pipe:0", format="nut")
    options = {
        "c:v": settings.encoder,
        "filter:v": ",".join(_filters(settings, info)),
        "pix_fmt": settings.pix_fmt,
        "fps_mode": "passthrough",
        **dict(settings.arguments),
    }
    if info.is_full_range and not settings.layout.rgb:
        # Otherwise ffmpeg assumes that the encoder wants limited range, and converts in spite of the tags.
        options["color_range"] = "pc"
    output = ffmpeg.output(frames["v:0"], target, format="nut", **options)
    quiet = output.global_args("-hide_banner", "-v", "error", "-nostats", "-y")
    return [str(part) for part in ffmpeg.compile(quiet, cmd=find_ffmpeg())]


def _filters(settings: EncodeSettings, info: VideoInfo) -> list[str]:
    """Tags for the frames, which raw video in NUT does not carry, and the conversion from RGB to Y'CbCr."""
    filters = []
    light = f"color_primaries={info.primaries}:color_trc={info.transfer}"
    target = planar_layout(settings.pix_fmt) or settings.layout
    if settings.layout.rgb and not target.rgb:
        filters.append("scale=out_color_matrix=bt709:out_range=tv")
        bt709 = f"colorspace={BT709_TAG}:color_primaries={BT709_TAG}:color_trc={BT709_TAG}"
        tags = f"range={LIMITED}:{bt709}"
    elif settings.layout.rgb:
        tags = f"range={info.range}:{light}"
    else:
        matrix = info.matrix_tag if info.matrix_tag != RGB else UNSPECIFIED
        tags = f"range={info.stated_range}:colorspace={matrix}:{light}"
    if settings.limits_range:
        filters.append("scale=in_range=pc:out_range=tv")
    filters.append(f"setparams={tags}")
    if info.sample_aspect:
        filters.append(f"setsar={info.sample_aspect.numerator}/{info.sample_aspect.denominator}")
    if info.is_interlaced:
        filters.append(f"setfield={'bff' if info.is_bottom_first else 'tff'}")
    return filters
