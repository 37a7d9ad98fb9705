"""Worker processes that may crash or hang without harm to the others.

The standard library's pools give up when a worker dies and wait forever when one hangs. Here each worker has
its own pipe; a worker that dies or falls silent is replaced, and the item it was working on is reported.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from colorcli.signals import blocked_signals

Item = TypeVar("Item")

START_SECONDS = 120.0
"""Seconds that a worker may take to start: engines read files and choose kernels."""


@dataclass(frozen=True)
class Died:
    """A worker ended without an answer."""

    reason: str


@dataclass
class _Worker(Generic[Item]):
    process: SpawnProcess
    connection: Connection
    slot: int
    """Its number, which its successor gets if it dies."""
    item: Item | None = None
    last_message: float = field(default_factory=time.monotonic)
    patience: float = START_SECONDS
    ready: bool = False


class Pool(Generic[Item]):
    """Keeps up to `size` workers busy with items; a context manager that ends all workers on exit."""

    def __init__(
        self, size: int, serve: Callable[..., None], arguments: Callable[[int], tuple[Any, ...]]
    ) -> None:
        """`serve(connection, *arguments(slot))` runs in each worker: it sends one message when it is ready,
        then answers every payload it receives with any number of messages. `slot` counts from 0 to `size`."""
        self._size, self._serve, self._arguments = size, serve, arguments
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker[Item]] = []

    def __enter__(self) -> "Pool[Item]":
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()
        for worker in self._workers:
            worker.process.kill()  # it is idle: a clean exit would only take time
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    @property
    def busy(self) -> list[Item]:
        """The items under way."""
        return [worker.item for worker in self._workers if worker.item is not None]

    def has_room(self) -> bool:
        """Whether a worker is free, or another one may be started."""
        return len(self.busy) < self._size

    def start(self) -> None:
        """Start a worker before there is an item for it."""
        self._start_worker()

    def submit(self, item: Item, payload: object, patience: float) -> None:
        """Send `payload`, which stands for `item`, to a free worker.

        A worker that sends nothing for `patience` seconds counts as hanging.
        """
        worker = (
            next((worker for worker in self._workers if worker.item is None), None) or self._start_worker()
        )
        worker.item, worker.patience = item, patience
        worker.last_message = time.monotonic()
        with suppress(OSError):  # it died while idle: `messages` will find out
            worker.connection.send(payload)

    def abandon(self, which: Callable[[Item], bool] = lambda item: True) -> list[Item]:
        """Kill the workers that are busy with certain items; the items that they leave undone."""
        undone = []
        for worker in list(self._workers):
            if worker.item is not None and which(worker.item):
                undone.append(worker.item)
                worker.process.kill()
                self._remove(worker)
        return undone

    def finish(self, item: Item) -> None:
        """Mark an item as answered, so that its worker is free."""
        for worker in self._workers:
            if worker.item is item:
                worker.item = None

    def messages(self, timeout: float) -> Iterator[tuple[Item, object]]:
        """Messages that arrive within `timeout` seconds, each with its item; `Died` for a lost worker."""
        by_connection = {worker.connection: worker for worker in self._workers if worker.item is not None}
        for source in wait(list(by_connection), timeout):
            worker = by_connection[source]  # type: ignore[index]
            item = worker.item
            assert item is not None
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield item, self._remove(worker)
                continue
            worker.last_message = time.monotonic()
            worker.ready = True
            yield item, message
        for worker in list(self._workers):
            limit = worker.patience if worker.ready else worker.patience + START_SECONDS
            if worker.item is not None and time.monotonic() - worker.last_message > limit:
                item = worker.item
                worker.process.kill()
                self._remove(worker)
                yield item, Died(f"hung: no message from its worker process for {limit:.0f} s")

    def _start_worker(self) -> _Worker[Item]:
        ours, theirs = self._context.Pipe()
        slot = min(set(range(self._size)) - {worker.slot for worker in self._workers})
        arguments = (theirs, *self._arguments(slot))
        process = self._context.Process(target=self._serve, args=arguments, daemon=True)
        if hasattr(signal, "pthread_sigmask"):
            resource_tracker.ensure_running()  # starting it would unblock signals
        with blocked_signals():
            process.start()
        theirs.close()
        worker: _Worker[Item] = _Worker(process, ours, slot)
        self._workers.append(worker)
        return worker

    def _remove(self, worker: _Worker[Item]) -> Died:
        worker.process.join(timeout=10)
        worker.connection.close()
        self._workers.remove(worker)
        code = worker.process.exitcode
        if code is not None and code < 0:
            return Died(f"crashed its worker process ({signal.Signals(-code).name})")
        return Died(f"ended its worker process (exit code {code})")
