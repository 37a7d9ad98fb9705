"""`--dry-run`: a row for each input on standard output, and what all of them need at the end."""

from dataclasses import replace

import typer

from colorcli.errors import printable
from colorcli.events import Done, Event, Failed, Sink, Started, Summary
from colorcli.jobs.estimate import Estimate
from colorcli.options import RunOptions

_ACTIONS = {"to_colorize": "color", "to_copy": "copy", "skipped": "skip"}


class DryRun:
    """A sink that adds what is to be done to the summary; `rows`: print a row for each input, too."""

    def __init__(self, options: RunOptions, sink: Sink, *, rows: bool) -> None:
        self._sink, self._rows = sink, rows
        self._estimate = Estimate(options)

    def __call__(self, event: Event) -> None:
        match event:
            case Done():
                self._estimate.add(event)
                self._row(_ACTIONS[event.action], event.input, event.output)
            case Failed():
                self._row("fail", event.input, f"{event.cause}; {event.remedy}")
            case Summary():
                event = replace(event, dry_run=self._estimate.facts())
        if not (self._rows and isinstance(event, Started | Failed)):
            self._sink(event)

    def _row(self, *fields: str) -> None:
        if self._rows:
            typer.echo("\t".join(map(printable, fields)).encode("utf-8", "backslashreplace").decode())
