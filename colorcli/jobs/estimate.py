"""How long a run takes, estimated by doing a little of it."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from colorcli.errors import ColorcliError
from colorcli.events import Done, Event, Progress
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.resources import worker_count
from colorcli.options import Existing, RunOptions

SAMPLES = 3
"""Images that are colorized for the estimate."""
FILM_SECONDS = 6.0
"""How long a film is colorized for the estimate."""


class _EnoughError(ColorcliError):
    """The film has been colorized for long enough."""


@dataclass
class Estimate:
    """What is to be colorized, and samples of it."""

    options: RunOptions
    images: int = 0
    films: int = 0
    pixels: int = 0
    """Of all images."""
    frames: int = 0
    """Of all films."""
    film_pixels: int = 0
    """Of all frames."""
    size: int = 0
    """Bytes of all inputs."""
    samples: dict[Kind, list[tuple[Job, int]]] = field(default_factory=dict)
    """The first jobs of each kind, each with its pixels."""

    copies: int = 0

    def add(self, event: Done) -> None:
        """Count an input that a dry run has looked at."""
        self.copies += event.action == "to_copy"
        if event.action != "to_colorize" or not event.facts:
            return
        kind = Kind.VIDEO if "frames" in event.facts else Kind.IMAGE
        job = Job(Path(event.input), Path(event.output), kind, key=Path(event.input).name)
        pixels = event.facts["width"] * event.facts["height"] * event.facts.get("pages", 1)
        self.size += job.source.stat().st_size if job.source.is_file() else 0
        if kind is Kind.IMAGE:
            self.images, self.pixels = self.images + 1, self.pixels + pixels
        else:
            frames = event.facts["frames"] or 0
            self.films, self.frames = self.films + 1, self.frames + frames
            self.film_pixels += pixels * frames
        kept = self.samples.setdefault(kind, [])
        if len(kept) < SAMPLES:
            kept.append((job, pixels))

    def facts(self) -> dict[str, Any]:
        """Everything, for the summary."""
        return {
            "images": self.images, "pixels": self.pixels, "films": self.films, "frames": self.frames,
            "to_copy": self.copies, "bytes": self.size, "seconds": self.seconds(),
        }  # fmt: skip

    def seconds(self) -> float | None:
        """The time it takes on this machine; None if nothing could be tried."""
        total, known = 0.0, False
        for kind, amount in ((Kind.IMAGE, self.pixels), (Kind.VIDEO, self.film_pixels)):
            if amount and (rate := self._rate(kind)):
                total, known = total + amount * rate, True
        return total if known else None

    def _rate(self, kind: Kind) -> float | None:
        """Seconds for each pixel."""
        video = replace(self.options.video, shots=None, contact_sheet=None)
        options = replace(
            self.options, dry_run=False, existing=Existing.OVERWRITE, video=video, compare=False
        )
        try:
            if kind is Kind.IMAGE:
                return _image_rate(self.samples[kind], options) / worker_count(options.jobs)
            return _film_rate(*self.samples[kind][0], options)
        except ColorcliError:
            return None


def _image_rate(samples: Sequence[tuple[Job, int]], options: RunOptions) -> float:
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder, open_context(options, 1) as context:

        def colorize(job: Job) -> float:
            start = time.monotonic()
            output = Path(folder) / f"sample{job.output.suffix or '.png'}"
            execute(replace(job, output=output), context, lambda event: None)
            return time.monotonic() - start

        colorize(samples[0][0])  # loads libraries
        return sum(colorize(job) for job, _ in samples) / sum(pixels for _, pixels in samples)


def _film_rate(job: Job, pixels: int, options: RunOptions) -> float | None:
    begun: list[tuple[float, int]] = []

    def watch(event: Event) -> None:
        if isinstance(event, Progress):
            begun.append((time.monotonic(), event.done))
            if begun[-1][0] - begun[0][0] > FILM_SECONDS:
                raise _EnoughError(job.source, "has been tried", "")

    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="colorcli-") as folder, open_context(options, 1) as context:
        is_short = True
        try:
            output = Path(folder) / f"sample{job.output.suffix or '.mkv'}"
            outcome = execute(replace(job, output=output), context, watch)
            begun.append((time.monotonic(), int(str(outcome.facts["frames"]))))
        except _EnoughError:
            is_short = False
    if is_short or len(begun) < 2:
        begun.insert(0, (start, 0))
    (first, before), (last, after) = begun[0], begun[-1]
    return (last - first) / max(1, after - before) / pixels
