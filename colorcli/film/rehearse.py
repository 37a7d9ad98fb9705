"""Rehearsals before the work: whether the encoder takes such frames, and the container what comes of them."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path

import av

from colorcli.core.errors import ColorcliError, RefusedError, SetupError, UsageError
from colorcli.film.encode import HARDWARE, Encoder, Recipe, candidate_recipes, default_encoder, segment_url
from colorcli.film.footage import Footage, open_film
from colorcli.film.mux import Clip, numbered, open_output, passengers, unheld
from colorcli.options import Film

TRIED_PACKETS = 200
"""Packets of the other streams that are put into the container for trial."""


@lru_cache(maxsize=64)  # planning asks first, the run itself again
def rehearse_encoding(footage: Footage, format_name: str, film: Film) -> tuple[Recipe, bytes]:
    """Find a recipe that works by encoding two black frames; the encoded frames (NUT) come with it.

    Raises:
        RefusedError: none works; the encoder's own reason is given.
        SetupError: the encoder needs hardware that is not there; or as `candidate_recipes`.
        UsageError: it works without the settings given; or as `candidate_recipes`.
    """
    failures: list[ColorcliError] = []
    for recipe in candidate_recipes(footage, format_name, film):
        try:
            return recipe, _try(recipe, footage)
        except ColorcliError as error:
            failures.append(error)
    raise _unworkable(footage, format_name, film, failures[0].cause.removeprefix("ffmpeg failed: "))


def _unworkable(footage: Footage, format_name: str, film: Film, cause: str) -> ColorcliError:
    """Whose fault it is that no recipe works: the settings', the machine's, or the encoder's own."""
    encoder = film.codec or default_encoder(footage, format_name)
    plain = replace(film, crf=None, preset=None, encoder_args="")
    if plain != film:
        with suppress(ColorcliError):
            rehearse_encoding(footage, format_name, plain)
            given = [
                f"{flag} {value}"
                for flag, value in (("--crf", film.crf), ("--preset", film.preset))
                if value is not None
            ] + ([f"--encoder-args {film.encoder_args!r}"] if film.encoder_args else [])
            return UsageError(" ".join(given), f"{encoder} does not take it ({cause})", "correct it")
    if encoder.endswith(HARDWARE):
        return SetupError(encoder, f"does not start here ({cause})", "check GPU and driver, or --codec")
    return RefusedError(
        footage.source, f"{encoder} does not take it ({cause})", "choose another --codec or --pix-fmt"
    )


def _try(recipe: Recipe, footage: Footage) -> bytes:
    frame = av.VideoFrame(footage.width, footage.height, recipe.layout.name)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    with Encoder(recipe, footage, "pipe:1") as encoder:
        encoder.write(frame)
        encoder.end_input()
        encoded = encoder.process.stdout.read()
        encoder.process.finish()
    return encoded


@lru_cache(maxsize=64)
def rehearse_muxing(footage: Footage, format_name: str, encoded: bytes) -> None:
    """Put a frame and some packets of every other stream into the container, to see whether it holds them.

    Raises:
        RefusedError: it does not; which stream, is said.
    """
    with open_film(footage.source) as source:
        wanted = passengers(source, footage, format_name)
    if _holds(footage, format_name, encoded, wanted):
        return
    for index in sorted(wanted):
        if not _holds(footage, format_name, encoded, {index}):
            with open_film(footage.source) as source:
                raise unheld(footage.source, source.streams[index], format_name)
    raise RefusedError(
        footage.source,
        f"{format_name} cannot hold such pictures",
        "choose another --codec, or name the output .mkv",
    )


def _holds(footage: Footage, format_name: str, encoded: bytes, wanted: set[int]) -> bool:
    """Whether the container takes the picture and these streams."""
    with (
        tempfile.TemporaryDirectory(prefix="colorcli-") as folder,
        av.open(BytesIO(encoded), "r", format="nut") as picture,
        open_film(footage.source) as source,
    ):
        url = segment_url(Path(folder) / "rehearsal")
        try:
            template = picture.streams.video[0]
            output = open_output(url, format_name, footage, source, template, Clip(), {}, wanted)
            for packet in numbered(picture.demux(), footage.rate):
                packet.dts = packet.pts
                output.mux_picture(packet)
            others = [source.streams[index] for index in output.others]
            for packet in islice(source.demux(*others), TRIED_PACKETS) if others else ():
                output.mux(packet)
            output.container.close()
        except (av.FFmpegError, ValueError):
            return False
    return True
