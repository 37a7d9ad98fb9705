"""Worker functions for tests, importable from worker processes."""

import os
import signal
import time
from multiprocessing.connection import Connection

from colorcli.files import partial_path
from colorcli.jobs.worker import Ready, Result
from colorcli.options import Outcome, RunOptions


def echo(connection: Connection) -> None:
    """Answer every item with itself, twice."""
    connection.send("ready")
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        connection.send(("working", item))
        connection.send(("done", item))


def unreliable(connection: Connection, *_: object) -> None:
    """As `echo`, but crashes, exits or hangs if an item, or the name of a job's source, says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection.send("ready")
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        name = item if isinstance(item, str) else item.source.name
        if "crash" in name:
            if not isinstance(item, str):
                partial_path(item.output).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGSEGV)
        if "leave" in name:
            os._exit(3)
        if "hang" in name:
            time.sleep(3600)
        connection.send(("done", item))


def devices(connection: Connection, options: RunOptions, *_: object) -> None:
    """Answer every job with the device that this worker was given; `crash` kills it first."""
    connection.send(Ready())
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        if "crash" in job.source.name:
            os._exit(3)
        time.sleep(0.05)  # so that all workers get something
        connection.send(Result(Outcome(facts={"device": options.color.device}), 0.0))
