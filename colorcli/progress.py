"""The one progress bar, for commands and training alike."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


def progress_bar(*columns: ProgressColumn, console: Console | None = None, visible: bool = True) -> Progress:
    """A progress bar on stderr that is shown only on a terminal and vanishes at the end.

    Args:
        columns: more columns, after description, bar, count and remaining time.
        console: where to show it, if not on stderr.
    """
    console = console or Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        *columns,
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
    )
