"""Progress and results for people, on stderr: a bar, a line for each failure, a table at the end."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import TaskID
from rich.table import Table

from colorcli.events import Done, Event, Failed, Note, Planned, Progress, Sink, Started, Summary, to_json
from colorcli.progress import progress_bar


@contextmanager
def open_sink(*, json: bool, quiet: bool, stdout_is_data: bool, page: Path | None = None) -> Iterator[Sink]:
    """A sink for the events of a run.

    `json` writes them to stdout, one object per line, or to stderr if stdout carries the result. `page` is
    an HTML page that is written when the run is over.
    """
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if json:
            sinks.append(json_sink(sys.stderr if stdout_is_data else sys.stdout))
        else:
            sinks.append(stack.enter_context(ConsoleSink(quiet=quiet)))
        if page is not None:
            from colorcli.cli.report import HtmlReport

            sinks.append(stack.enter_context(HtmlReport(page)))

        def broadcast(event: Event) -> None:
            for sink in sinks:
                sink(event)

        yield broadcast


def json_sink(stream: TextIO) -> Sink:
    """Write each event as one line, at once."""

    def write(event: Event) -> None:
        stream.write(to_json(event) + "\n")
        stream.flush()

    return write


class ConsoleSink:
    """A sink and context manager that shows events; `quiet` shows failures only."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._causes: Counter[str] = Counter()
        self._tasks: dict[str, TaskID] = {}
        self._all: TaskID | None = None
        self._bar = progress_bar(console=self._console, visible=not quiet)

    def __enter__(self) -> "ConsoleSink":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
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
            case Note() if not self._quiet:
                self._line(f"{event.input}: {event.message}")
            case Done():
                self._drop(event.input)
            case Failed():
                self._drop(event.input)
                self._causes[event.cause] += 1
                self._line(f"colorcli: {event.input}: {event.cause}; {event.remedy}")
            case Summary() if not self._quiet:
                self._console.print(self._table(event))

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _drop(self, name: str) -> None:
        if self._all is not None:
            self._bar.advance(self._all)
        if name in self._tasks:
            self._bar.remove_task(self._tasks.pop(name))

    def _table(self, summary: Summary) -> Table:
        table = Table(show_header=False, box=None, pad_edge=False)
        done = summary.colorized + summary.copied
        rows = [
            ("colorized", summary.colorized),
            ("copied (already had color)", summary.copied),
            ("skipped (output exists)", summary.skipped),
            ("failed", summary.failed),
        ]
        for name, count in rows:
            if count or name == "colorized":
                table.add_row(name, str(count))
        for cause, count in self._causes.most_common():
            table.add_row("", f"{count} x {cause}")
        rate = f", {done / summary.seconds:.2f} files per second" if done and summary.seconds else ""
        table.add_row("time", f"{summary.seconds:.1f} s{rate}")
        return table
