"""A pipeline stage in a thread of its own, so that decoding, coloring and encoding overlap."""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")
CAPACITY = 2
"""Items that a stage may be ahead of the next one: enough to even out, few enough for 4K frames in memory."""


class Prefetch(Generic[Item], Iterator[Item]):
    """Iterates over items in a thread, a few items ahead of the reader. A context manager.

    Leaving it stops and joins the thread, so that what the thread reads from can be closed afterwards. Stages
    that read from each other must be left in reverse order. An error of the items is raised where they are
    read.
    """

    def __init__(self, items: Iterable[Item], capacity: int = CAPACITY) -> None:
        self._items, self._capacity = items, capacity
        self._ready: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_stopped = self._is_finished = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._produce, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._thread.join()

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._is_finished)
            if self._ready:
                self._changed.notify_all()
                return self._ready.popleft()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def poll(self) -> Item | None:
        """The next item if one is ready, else None; raises the error of the items."""
        with self._changed:
            if not self._ready and not self._is_finished:
                return None
        return next(self, None)

    def is_exhausted(self) -> bool:
        """Whether every item was read; an error of the items counts as one."""
        with self._changed:
            return self._is_finished and not self._ready and self._error is None

    def _produce(self) -> None:
        try:
            for item in self._items:
                if not self._offer(item):
                    break
            # A generator has to be closed by the thread that runs it.
            if isinstance(self._items, Generator):
                self._items.close()
        except BaseException as error:  # raised again where the items are read
            self._error = error
        finally:
            with self._changed:
                self._is_finished = True
                self._changed.notify_all()

    def _offer(self, item: Item) -> bool:
        """Hand an item over, waiting for room; False if nobody reads any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._capacity or self._is_stopped)
            if not self._is_stopped:
                self._ready.append(item)
                self._changed.notify_all()
            return not self._is_stopped
