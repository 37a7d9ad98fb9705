"""JSON events follow the documented schema, and the console shows failures and counts."""

import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console
from support.broken import BROKEN, ODD, write_all
from support.cli import events, run_cli

from colorcli.cli.console import ConsoleSink, json_sink
from colorcli.errors import InputError
from colorcli.events import Done, Event, Failed, Note, Planned, Progress, Started, Summary, to_json

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "events.schema.json").read_text())

EVENTS: list[Event] = [
    Planned(2),
    Started("a.jpg", "out/a.jpg"),
    Progress("a.jpg", 1, 2),
    Note("b.txt", "neither an image nor a film"),
    Done("a.jpg", "out/a.jpg", "colorized", 0.5, {"width": 3}),
    Failed.from_error("c [x].jpg", InputError("c [x].jpg", "broken\nfile", "copy it again")),
    Summary(1, 0, 0, 1, 2.0, 1),
]


def valid(event: dict[str, Any]) -> None:
    jsonschema.validate(event, SCHEMA)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_every_kind_of_event_is_described(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    valid(json.loads(line))


def test_the_schema_rejects_wrong_events() -> None:
    for wrong in (
        {"event": "unknown"},
        {"event": "failed", "input": "a"},
        {"event": "done", "action": "lost"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            valid(wrong)


def test_a_real_run_follows_the_schema(tmp_path: Path, toy_model: Path) -> None:
    write_all(tmp_path / "in", {**BROKEN, **ODD, "notes.txt": lambda: b"text"})
    run = run_cli("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--json")
    reported = events(run.stdout)
    for event in reported:
        valid(event)
    assert {event["event"] for event in reported} >= {"started", "note", "done", "failed", "summary"}
    assert reported[-1]["event"] == "summary"
    assert sum(event["event"] == "summary" for event in reported) == 1
    settled = [event["input"] for event in reported if event["event"] in ("done", "failed")]
    assert len(settled) == len(set(settled)) == len(BROKEN) + len(ODD)


def test_json_goes_to_stderr_if_stdout_carries_the_image(tmp_path: Path, toy_model: Path) -> None:
    source = write_all(tmp_path, {"one.png": ODD["-dash.png"]})[0]
    run = run_cli("run", source, "-o", "-", "--model", toy_model, "--json")
    assert run.stdout.startswith(b"\x89PNG")
    assert events(run.stderr)[-1]["event"] == "summary"


def test_json_sink_writes_lines() -> None:
    stream = io.StringIO()
    sink = json_sink(stream)
    for event in EVENTS:
        sink(event)
    assert len(stream.getvalue().splitlines()) == len(EVENTS)


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_console_names_failures_and_counts(quiet: bool, terminal: bool) -> None:
    stream = io.StringIO()
    with ConsoleSink(quiet=quiet, console=Console(file=stream, force_terminal=terminal, width=200)) as sink:
        for event in EVENTS:
            sink(event)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "colorcli: c [x].jpg: broken file; copy it again" in shown
    assert ("neither an image nor a film" in shown) is not quiet
    assert ("files per second" in shown) is not quiet
    if not terminal:
        assert "\x1b" not in stream.getvalue()
        assert "\u2501" not in shown, "a progress bar without a terminal"
