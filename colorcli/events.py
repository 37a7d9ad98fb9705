"""What happens during a run, as values; the console and `--json` are two sinks for them.

As JSON an event is one object on one line: its kind under `event`, then its fields. Kinds and fields are
stable: fields may be added, never renamed.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from colorcli.errors import ColorcliError


@dataclass(frozen=True)
class Planned:
    """The first event: how many inputs there are in all."""

    inputs: int
    event: str = "planned"


@dataclass(frozen=True)
class Started:
    input: str
    output: str
    total: int | None = None
    """Frames or pages to do, None where it is not known."""
    event: str = "started"


@dataclass(frozen=True)
class Progress:
    input: str
    done: int
    total: int | None = None
    event: str = "progress"


@dataclass(frozen=True)
class Note:
    """Something a careful person would want to know; nothing failed."""

    input: str
    message: str
    event: str = "note"


@dataclass(frozen=True)
class Done:
    input: str
    output: str
    action: str = "colorized"
    """`colorized`, `copied` (it already had color) or `skipped` (the output was there)."""
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    event: str = "done"


@dataclass(frozen=True)
class Failed:
    input: str
    cause: str
    remedy: str
    exit_code: int
    event: str = "failed"

    @classmethod
    def from_error(cls, source: str, error: ColorcliError) -> "Failed":
        # What is at fault may be something else: the output, a flag, the model.
        about = "" if error.subject == source else f"{error.subject}: "
        return cls(source, about + error.cause, error.remedy, int(error.exit_code))


@dataclass(frozen=True)
class Summary:
    colorized: int
    copied: int
    skipped: int
    failed: int
    seconds: float
    exit_code: int
    event: str = "summary"


Event = Planned | Started | Progress | Note | Done | Failed | Summary
Sink = Callable[[Event], None]


def to_json(event: Event) -> str:
    fields = asdict(event)
    return json.dumps({"event": fields.pop("event"), **fields}, ensure_ascii=False)
