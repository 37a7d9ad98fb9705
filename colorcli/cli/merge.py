"""`colorcli merge`: the results of all runs into a folder as one report, with one exit code."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

from typer import Argument

from colorcli.cli.parameters import with_options
from colorcli.errors import ExitCode
from colorcli.events import Failed, Note, Summary
from colorcli.jobs.run import exit_code_of
from colorcli.options import Flag, Json


@with_options
def merge(
    output: Annotated[Path, Argument(metavar="OUT", help="The output folder of the runs.")],
    report: Annotated[
        Path | None, Flag("HTML page of all results and failures.", metavar="FILE.html")
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, Flag("Errors only.", short="-q")] = False,
) -> None:
    """Merge all runs into a folder, on any number of machines, into one report and one exit code."""
    from colorcli.cli.console import open_sink
    from colorcli.cli.report import report_page
    from colorcli.jobs.history import History, missing_shards

    history = History(output)
    processes = history.processes()
    actions: Counter[str] = Counter()
    codes: list[ExitCode] = []
    with (
        open_sink(json=json, quiet=quiet, stdout_is_data=False) as events,
        report_page(report, events) as sink,
    ):
        for result in history.results():
            sink(result)
            if isinstance(result, Failed):
                codes.append(ExitCode(result.exit_code))
            else:
                actions[result.action] += 1
        missing = missing_shards(processes)
        if missing:
            sink(Note(str(output), f"no run has done all of: {', '.join(missing)}; start them with --resume"))
        code = exit_code_of(codes, any_done=bool(actions))
        seconds = max(each.seen for each in processes) - min(each.started for each in processes)
        sink(
            Summary(
                actions["colorized"], actions["copied"], actions["skipped"], len(codes),
                round(max(seconds, 0.0), 3), int(ExitCode.SOME_FAILED if missing and not code else code),
            )
        )  # fmt: skip
    sys.exit(ExitCode.SOME_FAILED if missing and not code else code)
