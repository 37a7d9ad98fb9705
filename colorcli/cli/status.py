"""`colorcli status`: what the runs into a folder have done, and which of them are at work."""

import json as json_format
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.jobs.history import History, Process, missing_shards
from colorcli.options import Json


@with_options
def status(
    output: Annotated[Path, Argument(metavar="OUT", help="The output folder of the runs.")],
    json: Json = False,
) -> None:
    """Show what the runs into a folder have done so far, on any number of machines."""
    processes = History(output).processes()
    if json:
        for process in processes:
            typer.echo(json_format.dumps(asdict(process)))
        return
    _print(processes)


def _print(processes: list[Process]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "host", "process", "shard", "state", "colorized", "copied", "failed", "per minute", box=None
    )
    for each in processes:
        done = each.results["colorized"] + each.results["copied"]
        minutes = max(each.seen - each.started, 1.0) / 60
        counts = [str(each.results[name]) for name in ("colorized", "copied", "failed")]
        table.add_row(each.host, str(each.pid), each.shard, each.state, *counts, f"{done / minutes:.1f}")
    console = Console(highlight=False)
    console.print(table)
    states = Counter(each.state for each in processes)
    console.print(", ".join(f"{count} {state}" for state, count in states.items()))
    running = [each for each in processes if each.state == "running"]
    if running:
        console.print(f"last heartbeat {time.time() - max(each.seen for each in running):.0f} s ago")
    elif missing := missing_shards(processes):
        console.print(f"nothing runs; not done to the end: {', '.join(missing)}")
