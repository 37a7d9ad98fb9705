"""Signals that ask a run to end: Ctrl-C, the SIGTERM of queues, systemd and spot machines, a closed terminal.

The first one lets work under way finish; a second one stops at once. Exit codes follow the shell's
convention, 128 plus the number of the signal.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from colorcli.errors import ExitCode

EXIT_CODES = {
    getattr(signal, name): code
    for name, code in (
        ("SIGINT", ExitCode.INTERRUPTED),
        ("SIGTERM", ExitCode.TERMINATED),
        ("SIGHUP", ExitCode.HUNG_UP),
    )
    if hasattr(signal, name)  # Windows has no SIGHUP
}


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__()
        self.exit_code = exit_code


class StopSignals:
    """Remembers the first signal instead of ending the process; the second one raises `Interrupted`.

    A context manager. Signals that were ignored before, as under nohup, stay ignored; outside the main
    thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self, *, patient: bool = False) -> None:
        """`patient`: later signals change nothing, because launchers and queues both send the first."""
        self._patient = patient
        self.exit_code: ExitCode | None = None
        """Of the first signal; None before it."""
        self._at_once = False
        self._before: dict[int, object] = {}

    def received(self) -> bool:
        return self.exit_code is not None

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived."""
        if self.exit_code is not None:
            raise Interrupted(self.exit_code)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block, the first signal raises `Interrupted`, too: for work that can be continued."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in EXIT_CODES:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _on_signal(self, number: int, _: object) -> None:
        second = self.exit_code is not None and not self._patient
        self.exit_code = self.exit_code or EXIT_CODES[signal.Signals(number)]
        if second or self._at_once:
            raise Interrupted(self.exit_code)


def ignore_signals() -> None:
    """Ignore them all: for workers, whose parent decides although signals reach the whole process group."""
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, EXIT_CODES)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Within the block they wait: a child process that starts in it is not hit before it ignores them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, EXIT_CODES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
