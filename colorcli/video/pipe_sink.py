"""Film through pipes: read once, written once, nothing kept on disk.

The encoder's packets and those of the other streams, which come by the side while the film is decoded, are
muxed in a thread of their own. Packets waiting there are compressed and few, so that queue has no bound: with
one, a film whose sound lies far behind its picture could lock up. Everything else waits for the reader.
"""

import threading
from collections.abc import Callable
from fractions import Fraction

import av

from colorcli.errors import ColorcliError
from colorcli.video.encoder import Encoder
from colorcli.video.frame_colorizer import FrameColorizer
from colorcli.video.muxer import Output, Timing, due, numbered, open_output, retime


class StreamMuxer(threading.Thread):
    """Takes encoded frames from an encoder's standard output and writes the whole film to `url`."""

    def __init__(
        self, encoder: Encoder, frame_colorizer: FrameColorizer, url: str, tags: dict[str, str]
    ) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self.timings: dict[int, Timing] = {}
        """Of the frames that are inside the encoder."""
        self._encoder, self._film, self._url, self._tags = encoder, frame_colorizer.film, url, tags

    def run(self) -> None:
        try:
            self._mux()
        except (
            BaseException
        ) as error:  # handed to the thread that feeds the encoder, which would wait for ever
            self.error = error
            self._encoder.process.kill()

    def _mux(self) -> None:
        film = self._film
        source = f"pipe:{self._encoder.process.stdout.fileno()}"
        with av.open(source, format="nut", options={"analyzeduration": "0"}) as encoded:
            template = encoded.streams.video[0]
            output = open_output(
                self._url, film.format_name, film.output_info, film.reader.container, template, film.clip,
                self._tags,
            )  # fmt: skip
            clock = film.info.time_base
            step = max(1, round(1 / (film.info.rate * clock)))
            depth = template.codec_context.reorder_depth
            shift = round(film.clip.shift / clock)
            with output.container:
                packets = numbered(encoded.demux(template), film.info.rate)
                for packet in retime(packets, self.timings.pop, depth=depth, step=step, shift=shift):
                    self._pass_others(output, until=(packet.dts or 0) * clock + film.clip.shift)
                    output.mux_picture(packet)
                self._pass_others(output, until=None)

    def _pass_others(self, output: Output, until: Fraction | None) -> None:
        """Copy the other streams' packets up to a time."""
        waiting = self._film.reader.packets
        while waiting and (until is None or due(waiting[0]) <= until):
            output.mux(waiting.popleft())


def stream_film(
    frame_colorizer: FrameColorizer, url: str, tags: dict[str, str], tick: Callable[[int], None]
) -> int:
    """Color a film from or to a pipe; how many frames it had. `tick` is told the count.

    Raises:
        BrokenPipeError: nobody reads the output any more.
        ColorcliError: decoding, encoding or muxing failed.
    """
    film = frame_colorizer.film
    with Encoder(film.settings, film.output_info, "pipe:1") as encoder:
        muxer = StreamMuxer(encoder, frame_colorizer, url, tags)
        muxer.start()
        try:
            for result, frame in frame_colorizer.results():
                muxer.timings[encoder.frames] = result.seen.frame.timing
                encoder.write(frame)
                tick(encoder.frames)
            encoder.end_input()
            muxer.join()
            encoder.process.finish()
        except ColorcliError:
            muxer.join()
            if muxer.error is None:
                raise
        if muxer.error is not None:
            raise muxer.error
        return encoder.frames
