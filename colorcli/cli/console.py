"""Progress and results on stderr: a bar or lines of progress, failures, and how the run ended."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

from rich.console import Console
from rich.progress import TaskID
from rich.table import Table

from colorcli.errors import ColorcliError, ExitCode, printable
from colorcli.events import Done, Event, Failed, Note, Planned, Progress, Sink, Started, Summary, to_json
from colorcli.progress import progress_bar
from colorcli.signals import Interrupted

INTERRUPTIONS = (ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.HUNG_UP)
FIRST_LINE, LINE_INTERVAL = 10.0, 30.0
"""Seconds without a terminal until the first line of progress, and between lines."""
SHOWN_NOTES = 3
"""How often a note or refusal is shown that is the same for many inputs; the others are counted."""


@contextmanager
def open_sink(*, json: bool, quiet: bool, stdout_is_data: bool) -> Iterator[Sink]:
    """A sink for the events of a run; an error or a signal that ends it early becomes its `Summary`.

    `json` writes events to stdout, one object per line, or to stderr if stdout carries the result.
    """
    started = time.monotonic()
    stream = sys.stderr if stdout_is_data else sys.stdout
    with nullcontext(json_sink(stream)) if json else ConsoleSink(quiet=quiet) as sink:
        results: Counter[str] = Counter()

        def counting(event: Event) -> None:
            if isinstance(event, Done | Failed | Summary):
                results[event.action if isinstance(event, Done) else event.event] += 1
            sink(event)

        try:
            yield counting
        except ColorcliError as error:
            if not results["summary"]:
                sink(problem_summary(error, results, time.monotonic() - started))
            error.reported = json and stdout_is_data
            raise
        except Interrupted as error:
            if not results["summary"]:
                sink(_early_summary(results, time.monotonic() - started, error.exit_code))
            sys.exit(error.exit_code)


def problem_summary(error: ColorcliError, results: Counter[str] | None = None, seconds: float = 0) -> Summary:
    """The last event of a run that could not be done, or not to its end."""
    return _early_summary(results or Counter(), seconds, error.exit_code, str(error))


def _early_summary(counts: Counter[str], seconds: float, code: int, problem: str = "") -> Summary:
    done = counts["colorized"], counts["copied"], counts["skipped"], counts["failed"]
    return Summary(*done, round(seconds, 3), int(code), problem)


def json_sink(stream: TextIO) -> Sink:
    """Write each event as one line, at once."""

    def write(event: Event) -> None:
        stream.write(to_json(event) + "\n")
        stream.flush()

    return write


class ConsoleSink:
    """A sink and context manager that shows events; `quiet` shows failures only."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._counts = _Counts(clock)
        self._tasks: dict[str, TaskID] = {}
        self._all: TaskID | None = None
        self._bar = progress_bar(console=self._console, visible=not quiet)
        self._clock = clock
        self._next_line = clock() + FIRST_LINE

    def __enter__(self) -> "ConsoleSink":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        self._counts.add(event)
        match event:
            case Planned():
                total = event.inputs if event.complete else None
                if self._all is None:
                    self._all = self._bar.add_task("all", total=total)
                self._bar.update(self._all, total=total)
            case Started():
                self._tasks[event.input] = self._bar.add_task(event.input, total=event.total)
            case Progress() if event.input in self._tasks:
                self._bar.update(self._tasks[event.input], completed=event.done, total=event.total)
            case Note() if not self._quiet and self._counts.notes[event.message] <= SHOWN_NOTES:
                self._line(f"{event.input}: {event.message}")
            case Done():
                self._drop(event.input)
            case Failed():
                self._drop(event.input)
                self._fail(event)
            case Summary():
                self._end(event)
        if not (self._quiet or self._console.is_terminal or isinstance(event, Summary)):
            self._show_progress()

    def _fail(self, event: Failed) -> None:
        if not self._counts.is_common(event):
            self._line(f"colorcli: {event.input}: {event.cause}; {event.remedy}")

    def _show_progress(self) -> None:
        """A line now and then, where there is no bar."""
        line = self._counts.progress() if self._clock() >= self._next_line else ""
        if line:
            self._next_line = self._clock() + LINE_INTERVAL
            self._line(line)

    def _end(self, summary: Summary) -> None:
        if not self._quiet and not (summary.problem and self._counts.is_empty):
            self._console.print(_table(summary, self._counts))
        if summary.exit_code in INTERRUPTIONS:
            self._line(self._counts.interruption())

    def _line(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False)

    def _drop(self, name: str) -> None:
        if self._all is not None:
            self._bar.advance(self._all)
        if name in self._tasks:
            self._bar.remove_task(self._tasks.pop(name))


class _Counts:
    """What has happened so far, for lines of progress and for the end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._total: int | None = None
        self._finished = 0
        self._outputs: dict[str, str] = {}
        """Input -> output of what is under way."""
        self._film: Progress | None = None
        """The latest progress of the film under way."""
        self._film_begun = clock()
        self._film_first = 0
        """Frames of it that an earlier run had finished."""
        self.failures: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.frames, self.film_seconds = 0, 0.0
        """Of finished films."""

    @property
    def is_empty(self) -> bool:
        return not self._finished

    def add(self, event: Event) -> None:
        match event:
            case Planned():
                self._total = event.inputs if event.complete else None
            case Started():
                self._outputs[event.input] = event.output
            case Progress(unit="frames") if len(self._outputs) == 1:
                if self._film is None or self._film.input != event.input:
                    self._film_begun, self._film_first = self._clock(), event.done
                self._film = event
            case Note():
                self.notes[event.message] += 1
            case Done() | Failed():
                self._finished += 1
                self._outputs.pop(event.input, None)
                self._film = None
                if isinstance(event, Failed):
                    self.failures[event.reason or event.cause] += 1
                elif "frames" in event.facts and event.action != "skipped":
                    self.frames += (event.facts["frames"] or 0) - event.facts.get("resumed", 0)
                    self.film_seconds += event.seconds

    def is_common(self, event: Failed) -> bool:
        """Whether this refusal has been shown often enough; damaged files are all named."""
        shown = self.failures[event.reason or event.cause]
        return event.exit_code in (ExitCode.REFUSED, ExitCode.USAGE) and shown > SHOWN_NOTES

    def progress(self) -> str:
        """A line that says how far the work is; empty if nothing is known."""
        if self._film is not None and self._film.total:
            done, total = self._film.done, self._film.total
            rate = (done - self._film_first) / max(self._clock() - self._film_begun, 1e-3)
            return f"{self._film.input}: {done:,} of {total:,} frames{_remaining(total - done, rate)}"
        if not self._finished:
            return ""
        rate = self._finished / max(self._clock() - self._begun, 1e-3)
        if self._total is None:
            return f"{self._finished:,} files so far"
        return f"{self._finished:,} of {self._total:,} files{_remaining(self._total - self._finished, rate)}"

    def interruption(self) -> str:
        """What an interrupted run has done, and how it is continued."""
        if self._film is not None and self._film.total and not self._finished:
            work = f"{self._film.done:,} of {self._film.total:,} frames"
        else:
            work = f"{self._finished:,}" + (f" of {self._total:,}" if self._total else "") + " files"
        hint = "" if "-" in self._outputs.values() else "; continue with --resume"
        return f"colorcli: interrupted after {work}{hint}"


def _remaining(left: int, rate: float) -> str:
    """How long `left` steps take at `rate` steps a second, for people."""
    if rate <= 0:
        return ""
    return f", {rate:.3g} a second, about {duration(left / rate)} left"


def duration(seconds: float) -> str:
    """A duration for people, to two digits or so: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 shot`, `1,200 shots`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _dry_table(summary: Summary, facts: dict[str, Any]) -> Table:
    """What a dry run has found."""
    table = Table(show_header=False, box=None, pad_edge=False)
    work = []
    if facts["images"] or not facts["films"]:
        work.append(f"{counted(facts['images'], 'image')}, {facts['pixels'] / 1e6:,.1f} megapixels")
    if facts["films"]:
        work.append(f"{counted(facts['films'], 'film')}, {counted(facts['frames'], 'frame')}")
    for place, line in enumerate(work):
        table.add_row("" if place else "would colorize", line)
    rows = (
        ("would copy (have color)", facts["to_copy"]),
        ("would skip (outputs exist)", summary.skipped),
        ("would fail", summary.failed),
    )
    for name, count in rows:
        if count:
            table.add_row(name, f"{count:,}")
    table.add_row("size of inputs", f"{facts['bytes'] / 1e6:,.1f} MB")
    if facts["seconds"] is not None:
        table.add_row("would take", f"about {duration(facts['seconds'])} here")
    return table


def _table(summary: Summary, counts: _Counts) -> Table:
    if summary.dry_run is not None:
        return _dry_table(summary, summary.dry_run)
    table = Table(show_header=False, box=None, pad_edge=False)
    done = summary.colorized + summary.copied
    rows = [
        ("colorized", summary.colorized),
        ("copied (already had color)", summary.copied),
        ("skipped (output exists; --overwrite replaces it)", summary.skipped),
        ("failed", summary.failed),
    ]
    for name, count in rows:
        if count or name == "colorized":
            table.add_row(name, f"{count:,}")
    for cause, count in counts.failures.most_common():
        if count > 1:  # a single one stands above
            table.add_row("", f"{count:,} x {cause}")
    frequent = [(message, count) for message, count in counts.notes.most_common() if count > SHOWN_NOTES]
    for place, (message, count) in enumerate(frequent):
        table.add_row("" if place else "noted", f"{count:,} x {message}")
    if counts.frames and counts.film_seconds:
        rate = counts.frames / counts.film_seconds
        table.add_row("frames", f"{counts.frames:,}, {rate:.1f} per second")
    pictures = f", {done / summary.seconds:.2f} files per second" if done and summary.seconds else ""
    table.add_row("time", f"{summary.seconds:.1f} s{'' if counts.frames else pictures}")
    return table
