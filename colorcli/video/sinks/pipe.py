"""The sink for pipes: video from or to a pipe is read once and written once, with nothing kept on disk.

The encoder's packets and those of the other streams, which the source collects while it is decoded, are muxed
in a thread of their own. The other streams' packets are compressed and few, so their queue has no limit: with
one, a video whose audio is far behind its picture could block. Everything else waits for the reader of the
output.
"""

import os
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Self

import av

from colorcli.errors import ColorcliError
from colorcli.events import Note, Sink
from colorcli.files import STDIO, atomic_write
from colorcli.video.captions import insert_captions, read_captions
from colorcli.video.encoder import Encoder
from colorcli.video.ffmpeg import file_url
from colorcli.video.frames import ColoredFrame, Timing
from colorcli.video.muxer import Output, open_output
from colorcli.video.part import Part
from colorcli.video.preflight import CheckedVideo
from colorcli.video.remux import Remux, remuxed_stdout, write_remuxed
from colorcli.video.sinks.base import Summaries, VideoSink
from colorcli.video.timestamps import decode_seconds, fitted, number_frames, restore_times


class PipeSink(VideoSink):
    """Writes to standard output, or to a file what comes from standard input."""

    def __init__(self, video: CheckedVideo, tags: dict[str, str], report: Sink) -> None:
        self._video, self._tags, self._report = video, tags, report

    def write(self, frames: Iterator[ColoredFrame], part: Part, summaries: Summaries) -> None:
        if self._video.output == STDIO:
            self._write_to_stdout(frames)
            return
        with atomic_write(self._video.output) as partial:
            remux = self._write_to(file_url(partial), frames)
            if remux is not None:
                write_remuxed(partial, remux)

    def _write_to_stdout(self, frames: Iterator[ColoredFrame]) -> None:
        sys.stdout.flush()
        try:
            with remuxed_stdout(self._video.format_name, self._video.output_info) as url:
                self._write_to(url, frames)
        except BrokenPipeError:
            self._report(Note(self._video.name, "output pipe closed by the reader"))
            # Python flushes standard output once more at exit, which must not fail then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _write_to(self, url: str, frames: Iterator[ColoredFrame]) -> Remux | None:
        video = self._video
        with (
            Encoder(video.settings, video.output_info, "pipe:1") as encoder,
            _MuxerThread(encoder, video, url, self._tags) as muxer,
        ):
            for colored in frames:
                muxer.timings[encoder.frames] = colored.frame.timing
                encoder.write(colored.picture)
            if not encoder.frames:
                raise video.no_frames()
            encoder.end_input()
            muxer.join()
            encoder.process.finish()
            return muxer.remux


class _MuxerThread(threading.Thread):
    """Muxes encoded video from the encoder's standard output into `url`. A context manager.

    Leaving it joins the thread; its error takes precedence over the encoder's, which it causes by ending it.
    """

    def __init__(self, encoder: Encoder, video: CheckedVideo, url: str, tags: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.timings: dict[int, Timing] = {}
        """Of the frames that are inside the encoder, by the encoder's count."""
        self.remux: Remux | None = None
        """What is still to be done, once the output is written."""
        self._error: BaseException | None = None
        self._encoder, self._video, self._url, self._tags = encoder, video, url, tags

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._encoder.process.kill()
        self.join()
        if self._error is not None and (error is None or isinstance(error, ColorcliError)):
            raise self._error

    def run(self) -> None:
        try:
            self._mux()
        except BaseException as error:  # raised again by __exit__
            self._error = error
            # The main thread would otherwise wait for the encoder, which waits for its output to be read.
            self._encoder.process.kill()

    def _mux(self) -> None:
        video, clock = self._video, self._video.info.time_base
        pipe = f"pipe:{self._encoder.process.stdout.fileno()}"
        try:
            encoded = av.open(pipe, format="nut", options={"analyzeduration": "0"})
        except av.FFmpegError:
            return  # the encoder has ended without output, and the main thread reports why
        with encoded:
            template = encoded.streams.video[0]
            output = open_output(
                self._url, video.format_name, video.output_info, video.source.container, template, video.clip,
                self._tags, video.streams,
            )  # fmt: skip
            self.remux = output.remux
            depth = template.codec_context.reorder_depth
            shift = round(video.clip.shift / clock)
            with output:
                packets = insert_captions(
                    number_frames(encoded.demux(template), video.info.rate),
                    template.codec_context.name,
                    self._captions_of,
                )
                step = video.info.frame_ticks
                timing_of = fitted(self.timings.pop, video.format_name, video.info)
                for packet in restore_times(packets, timing_of, depth=depth, step=step, shift=shift):
                    self._copy_packets(output, until=(packet.dts or 0) * clock + video.clip.shift)
                    output.mux_video(packet)
                self._copy_packets(output, until=None)

    def _captions_of(self, number: int) -> bytes | None:
        if self._video.path == STDIO or self._video.source.container is None or number not in self.timings:
            return None
        return read_captions(self._video.path).get(self.timings[number].pts)

    def _copy_packets(self, output: Output, until: Fraction | None) -> None:
        """Copy the other streams' packets up to a time in seconds."""
        waiting = self._video.source.packets
        while waiting and (until is None or decode_seconds(waiting[0]) <= until):
            output.mux_copy(waiting.popleft())
