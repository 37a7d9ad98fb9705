"""Every expected error, in one tree.

    ColorcliError
    ├── InputError    exit 1   an input cannot be read, or its output cannot be written
    ├── UsageError    exit 2   the request contradicts itself or cannot be understood
    ├── SetupError    exit 3   ffmpeg, an engine, a device or an extra is missing or broken
    └── RefusedError  exit 4   the input could be processed, but policy forbids it

The message is one line: the file or thing, the cause, the remedy.
"""

import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from os import PathLike
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the command line.

    Of several inputs, a code above 1 means that all of them failed with it.
    """

    OK = 0
    SOME_FAILED = 1
    """Some inputs failed, or all of them for different causes."""
    USAGE = 2
    SETUP = 3
    REFUSED = 4
    HUNG_UP = 129
    """SIGHUP: the terminal was closed."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """SIGTERM: a queue, systemd or a machine that is taken away."""


class ColorcliError(Exception):
    """An expected failure; its message is `subject: cause; remedy`, on one line."""

    exit_code = ExitCode.SOME_FAILED
    reported = False
    """Whether an event has said it already where messages go."""

    def __init__(self, subject: str | PathLike[str], cause: str, remedy: str) -> None:
        self.subject, self.cause, self.remedy = str(subject), _one_line(cause), _one_line(remedy)
        super().__init__(f"{printable(self.subject)}: {self.cause}; {self.remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # Worker processes send errors to their parent; Exception's own pickling keeps only `args`.
        return type(self), (self.subject, self.cause, self.remedy)


class InputError(ColorcliError):
    """An input cannot be read, or its output cannot be written."""

    exit_code = ExitCode.SOME_FAILED


class UsageError(ColorcliError):
    """The request contradicts itself or cannot be understood."""

    exit_code = ExitCode.USAGE


class SetupError(ColorcliError):
    """ffmpeg, an engine, a device or an extra is missing or broken."""

    exit_code = ExitCode.SETUP


class RefusedError(ColorcliError):
    """The input could be processed, but policy forbids it."""

    exit_code = ExitCode.REFUSED


def bug(subject: str | PathLike[str], error: BaseException) -> InputError:
    """The error for an exception that nobody expected: a fault of this program, not of the file."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "colorcli" in Path(frame.filename).parts] or frames
    place = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
    remedy = "report this as a bug, with the file, which is unchanged"
    return InputError(subject, f"unexpected error in colorcli{place}", remedy)


def install_command(extra: str) -> str:
    """What to type to add an extra, from where this package was installed; it is on no package index."""
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    source = Path(__file__).resolve().parents[1]
    if (source / "pyproject.toml").exists():
        return f"pip install '{source}[{extra}]'"
    try:
        installed = distribution("colorcli")
    except PackageNotFoundError:
        return f"pip install '.[{extra}]' in the folder of the source"
    url = urlsplit(json.loads(installed.read_text("direct_url.json") or "{}").get("url", ""))
    origin = Path(url2pathname(url.path))
    if url.scheme == "file" and origin.exists():
        return f"pip install '{origin}[{extra}]'"
    suffix = re.compile(rf"""\s*;.*extra\s*==\s*['"]{extra}['"].*""")
    packages = [suffix.sub("", entry) for entry in installed.requires or () if suffix.search(entry)]
    return "pip install " + " ".join(f"'{package}'" for package in packages)


@contextmanager
def needs_extra(subject: str, extra: str) -> Iterator[None]:
    """Turn a missing module into a SetupError that names the extra which installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        remedy = install_command(extra)
        raise SetupError(subject, f"{error.name} is not installed", remedy) from error


def printable(text: str) -> str:
    """Text with its control characters escaped: a name may have line breaks, a message is one line."""
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: found[0].encode("unicode_escape").decode(), text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
