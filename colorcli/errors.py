"""Every error a user can cause, in one tree.

    ColorcliError
    ├── InputError    exit 1   an input cannot be read, or its output cannot be written
    ├── UsageError    exit 2   the request makes no sense as given
    ├── SetupError    exit 3   ffmpeg, an engine, a device or an extra is missing or broken
    └── RefusedError  exit 4   the input could be processed, but policy says not like this

The message is one line: what it is about, what went wrong, what to do about it.
"""

from enum import IntEnum
from os import PathLike


class ExitCode(IntEnum):
    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    SETUP = 3
    REFUSED = 4
    INTERRUPTED = 130


class ColorcliError(Exception):
    """An expected failure; `subject` is the file or thing it is about."""

    exit_code = ExitCode.SOME_FAILED

    def __init__(self, subject: str | PathLike[str], cause: str, remedy: str) -> None:
        self.subject, self.cause, self.remedy = str(subject), _one_line(cause), _one_line(remedy)
        super().__init__(f"{self.subject}: {self.cause}; {self.remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # Errors cross process borders in the worker pool; Exception's own pickling keeps only `args`.
        return type(self), (self.subject, self.cause, self.remedy)


class InputError(ColorcliError):
    exit_code = ExitCode.SOME_FAILED


class UsageError(ColorcliError):
    exit_code = ExitCode.USAGE


class SetupError(ColorcliError):
    exit_code = ExitCode.SETUP


class RefusedError(ColorcliError):
    exit_code = ExitCode.REFUSED


def _one_line(text: str) -> str:
    return " ".join(text.split())
