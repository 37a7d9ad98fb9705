"""Events of a run, as values; the console, `--json` and `--report` are sinks for them.

In JSON, an event is one object on one line: its kind under `event`, then its fields. Kinds and fields are
stable: fields may be added, never renamed.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from colorcli.errors import ColorcliError

SURROGATE = re.compile("[\ud800-\udfff]")
"""Python's stand-in for a byte of a file name that is not UTF-8."""


@dataclass(frozen=True)
class Planned:
    """The run begins; `inputs` is the number of inputs found so far."""

    inputs: int
    complete: bool = True
    """Whether these are all; otherwise another `Planned` follows when all are found."""
    event: str = "planned"


@dataclass(frozen=True)
class Started:
    """Work on an input begins."""

    input: str
    output: str
    total: int | None = None
    """Frames or pages, None if not known."""
    event: str = "started"


@dataclass(frozen=True)
class Progress:
    """So many steps of an input are done: frames of a film, steps of an image."""

    input: str
    done: int
    total: int | None = None
    unit: str = "steps"
    """`frames` of a film, `steps` of an image."""
    event: str = "progress"


@dataclass(frozen=True)
class Note:
    """Something that a careful user should know; nothing failed."""

    input: str
    message: str
    event: str = "note"


@dataclass(frozen=True)
class ShotDone:
    """A shot of a film is colorized."""

    input: str
    number: int
    """Counted from 1."""
    start: int
    """Number of its first frame."""
    end: int
    """Number of the frame after its last."""
    rate: float
    """Frames per second of the film."""
    decided: str
    """What was decided about it, for people."""
    certainty: float | None
    """How far the network's predictions for the same things agree, from 0 to 1; None without predictions."""
    shown: int
    """Number of the frame that stands for the shot."""
    size: tuple[int, int]
    """Width and height of the film in pixels."""
    before: str = field(default="", repr=False)
    """That frame in gray: a small WebP as base64. JSON leaves it out."""
    after: str = field(default="", repr=False)
    """The same in color."""
    decisions: tuple[str, ...] = ("1", "0", "0", "", "no")
    """Saturation, hue, warmth, reference and skip, as its row of a shot list has them."""
    event: str = "shot"


@dataclass(frozen=True)
class Done:
    """An output is complete, or needs no work."""

    input: str
    output: str
    action: str = "colorized"
    """As in `Outcome`."""
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    """As in `Outcome`."""
    event: str = "done"


@dataclass(frozen=True)
class Failed:
    """An input could not be done; there is no output."""

    input: str
    cause: str
    remedy: str
    exit_code: int
    reason: str = ""
    """The cause without the name of what it is about, to count failures by; empty if it has none."""
    event: str = "failed"

    @classmethod
    def from_error(cls, source: str, error: ColorcliError) -> "Failed":
        # The error may be about something else than the input: the output, a flag, the model.
        if error.subject == source:
            return cls(source, error.cause, error.remedy, int(error.exit_code))
        cause = f"{error.subject}: {error.cause}"
        return cls(source, cause, error.remedy, int(error.exit_code), reason=error.cause)


@dataclass(frozen=True)
class Summary:
    """The last event: the number of inputs by result."""

    colorized: int
    copied: int
    skipped: int
    failed: int
    seconds: float
    exit_code: int
    problem: str = ""
    """Why the run could not be done, or not to its end: `subject: cause; remedy`."""
    dry_run: dict[str, Any] | None = None
    """Of a dry run: images, pixels, films and frames to be colorized, inputs to_copy, bytes of the inputs and
    the estimated seconds (None if nothing could be tried)."""
    event: str = "summary"


Event = Planned | Started | Progress | Note | ShotDone | Done | Failed | Summary
Sink = Callable[[Event], None]


def to_json(event: Event) -> str:
    fields = dict(vars(event))
    if isinstance(event, ShotDone):
        del fields["before"], fields["after"]
    return json_text({"event": fields.pop("event"), **fields})


def json_text(value: object) -> str:
    """JSON that can be written as UTF-8: what is not UTF-8 in a file name is escaped, as Python has it."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
