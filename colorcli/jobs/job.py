"""One unit of work: an input, its output, and what is known about them before work starts."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from colorcli.errors import ColorcliError


class Kind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    """A film, or numbered images that are its frames."""


@dataclass(frozen=True)
class Job:
    """Colorize `source` into `output`; either may be `files.STDIO`."""

    source: Path
    output: Path
    kind: Kind
    problem: ColorcliError | None = None
    """Why the job cannot be done, if that is known already."""
    skip: bool = False
    """Whether the output exists and stays as it is."""
    sidecars: tuple[Path, ...] = ()
    """Hints and reference that lie beside the source."""
    key: str = field(default="", compare=False)
    """The path of the source below the input, with slashes: the same on every machine."""
