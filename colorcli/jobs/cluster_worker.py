"""The actor of a Ray cluster: keeps the model open and does units of work. See `cluster`."""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from threading import Event as ThreadEvent
from threading import Thread

from colorcli.errors import ColorcliError, ExitCode, SetupError
from colorcli.events import Event, Progress
from colorcli.files import WRITER
from colorcli.jobs.execute import execute, execute_task, open_context
from colorcli.jobs.executors import job_of
from colorcli.jobs.job import Kind
from colorcli.jobs.work import FilmTask, Unit
from colorcli.jobs.worker import Result
from colorcli.options import DEFAULT_MODELS, Outcome, RunOptions
from colorcli.signals import Interrupted

PROGRESS_SECONDS, FLUSH_SECONDS = 1.0, 0.5
"""Seconds between reports of progress, and between messages of any kind."""
GRACE = 10.0
"""Seconds for the picture under way when the run is over."""

Message = tuple[int, Event | Result]
"""An event or the result of the unit with this number."""


class ClusterWorker:
    """The actor: does batches of units."""

    def __init__(self, options: RunOptions, folder: str) -> None:
        """`folder`: what relative names are relative to."""
        if not options.color.model:  # the included model, wherever it is installed here
            options = replace(options, color=replace(options.color, model=DEFAULT_MODELS))
        self._options, self._folder = options, folder
        self._stopped, self._idle = False, ThreadEvent()

    def open(self) -> ColorcliError | None:
        """Open the model; returns the error if that fails."""
        import cv2

        cv2.setNumThreads(1)
        try:
            os.chdir(self._folder)
            self._context = open_context(self._options, threads=1)
            self._open = self._context.__enter__()
        except OSError as error:
            cause = f"{socket.gethostname()} cannot open it ({error.strerror})"
            return SetupError(self._folder, cause, "share it with all nodes, and start there")
        except ColorcliError as error:
            return error
        return None

    def stop(self) -> None:
        """Finish the picture under way, give up a film, and begin no other; returns when that is done."""
        self._stopped = True
        self._idle.wait(GRACE)

    def run(self, batch: list[tuple[int, Unit, str]]) -> Iterator[list[Message]]:
        """Do units of work, each with its number and a name for its partial file.

        Yields events and results, each with the number, twice a second.
        """
        messages: list[Message] = []
        flushed = time.monotonic()
        self._idle.clear()
        for number, unit, writer in batch:
            if self._stopped:
                break
            os.environ[WRITER] = writer
            for message in self._run_one(unit):
                messages.append((number, message))
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    yield messages
                    messages, flushed = [], time.monotonic()
        self._idle.set()
        yield messages

    def _run_one(self, unit: Unit) -> Iterator[Event | Result]:
        messages: SimpleQueue[Event | Result | None] = SimpleQueue()
        thread = Thread(target=self._execute, args=(unit, messages))
        thread.start()
        while (message := messages.get()) is not None:
            yield message
        thread.join()

    def _execute(self, unit: Unit, messages: "SimpleQueue[Event | Result | None]") -> None:
        start = reported = time.monotonic()

        def report(event: Event) -> None:
            nonlocal reported
            if self._stopped and job_of(unit).kind is Kind.VIDEO:
                raise Interrupted(ExitCode.TERMINATED)
            if not isinstance(event, Progress) or time.monotonic() - reported > PROGRESS_SECONDS:
                reported = time.monotonic()
                messages.put(event)

        result: Outcome | ColorcliError
        try:
            if isinstance(unit, FilmTask):
                result = execute_task(unit.job, unit.task, self._open, report)
            else:
                result = execute(unit, self._open, report)
            messages.put(Result(result, time.monotonic() - start))
        except ColorcliError as error:
            messages.put(Result(error, time.monotonic() - start))
        except Interrupted:
            pass
        finally:
            messages.put(None)
