"""Inputs to outputs, before any work starts."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

STREAM = Path("-")
"""Standard input or output."""


class Kind(StrEnum):
    STILL = "still"
    FILM = "film"
    SEQUENCE = "sequence"


@dataclass(frozen=True)
class Job:
    source: Path
    output: Path
    kind: Kind
