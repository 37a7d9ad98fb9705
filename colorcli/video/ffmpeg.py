"""The ffmpeg program: where it is, what it can do, and running it so that it never blocks.

ffmpeg only encodes: it reads frames from its standard input and never opens a file of the user, so a
malicious container cannot make it read another file.
"""

import os
import re
import shutil
import subprocess
import threading
from collections import deque
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Self

from colorcli.errors import InputError, SetupError

OLDEST = (5, 1)
"""The first version with -fps_mode, without which frames of a variable rate are dropped or repeated."""
PIPE_SIZE = 1 << 20
FAILURE = "ffmpeg failed: "
"""How the cause of a failure begins; the reason follows."""
ERROR_LINES = 20
"""How many of the last lines that ffmpeg writes to standard error are kept."""
_VAGUE = (
    "Conversion failed", "Terminating", "Task finished", "Nothing was written", "Error opening output",
    "Error while opening encoder", "Could not open encoder", "Error splitting", "Generic error",
    "Error sending frames", "Error initializing output",
)  # fmt: skip
"""Beginnings of error lines that give no cause."""


@lru_cache
def find_ffmpeg() -> str:
    """The ffmpeg to use: `COLORCLI_FFMPEG`, else PATH's if new enough, else the one in imageio-ffmpeg.

    Raises:
        SetupError: COLORCLI_FFMPEG does not run, or there is no ffmpeg.
    """
    if named := os.environ.get("COLORCLI_FFMPEG"):
        if version(named) < OLDEST:
            raise SetupError(named, "is not an ffmpeg of version 5.1 or newer", "correct COLORCLI_FFMPEG")
        return named
    found = shutil.which("ffmpeg")
    if found and version(found) >= OLDEST:
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise SetupError(
            "ffmpeg", "not found", "pip install imageio-ffmpeg, or set COLORCLI_FFMPEG"
        ) from error


def version(binary: str) -> tuple[int, int]:
    """Major and minor version of a binary; (0, 0) if it is not ffmpeg. Builds from git count as new."""
    try:
        line = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=20).stdout[:80]
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return 0, 0
    if found := re.match(r"ffmpeg version n?(\d+)\.(\d+)", line):
        return int(found[1]), int(found[2])
    return (99, 0) if line.startswith("ffmpeg version ") else (0, 0)


@lru_cache
def version_line() -> str:
    """The first line of ffmpeg's own version output, which identifies the build."""
    output = subprocess.run([find_ffmpeg(), "-version"], capture_output=True, text=True, check=False).stdout
    return output.partition("\n")[0]


@lru_cache
def encoder_formats(encoder: str) -> tuple[str, ...]:
    """Pixel formats that a video encoder takes, in its own order; empty if unknown.

    Raises:
        SetupError: this ffmpeg has no such encoder.
    """
    command = [find_ffmpeg(), "-hide_banner", "-h", f"encoder={encoder}"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if "Encoder" not in output or "Supported sample" in output:  # audio encoders list sample formats
        cause = "this ffmpeg has no such video encoder"
        raise SetupError(encoder, cause, "see `ffmpeg -encoders`, or set COLORCLI_FFMPEG")
    listed = re.search(r"Supported pixel formats: (.*)", output)
    return tuple(listed[1].split()) if listed else ()


class Process:
    """A running ffmpeg that reads its standard input. A context manager that kills it on an error.

    A thread drains standard error, so that an encoder with many messages never blocks; the last lines give
    the cause when it fails.
    """

    def __init__(self, command: list[str], *, subject: Path, read_output: bool = False) -> None:
        self._subject = subject
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if read_output else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C reaches the terminal's process group; the encoder must not die before its input ends.
            start_new_session=True,
            # Frames are megabytes large: with the default 64 kB, writer and reader would only alternate.
            pipesize=PIPE_SIZE,
        )
        self._lines: deque[str] = deque(maxlen=ERROR_LINES)
        self._drain = threading.Thread(target=self._read_errors, daemon=True)
        self._drain.start()

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def finish(self) -> None:
        """Wait until it has encoded everything.

        Raises:
            InputError: it failed; the message gives its last error lines.
        """
        if self._process.wait() != 0:
            self._drain.join()
            raise self.failure()

    def kill(self) -> None:
        """End it immediately."""
        self._process.kill()

    def failure(self) -> InputError:
        """The error to raise when it has ended early."""
        self._process.wait()
        self._drain.join()
        return InputError(self._subject, f"{FAILURE}{self._reason}", "check the encoder's options and disk")

    @property
    def _reason(self) -> str:
        specific = [line for line in self._lines if line and not line.startswith(_VAGUE)]
        return "; ".join((specific or list(self._lines))[-2:]) or "it gave no reason"

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(re.sub(r"^(\[[^]]*\] )+", "", line.decode(errors="replace").strip()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._drain.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def file_url(path: Path) -> str:
    """A path as ffmpeg takes it literally, whatever characters it contains."""
    return f"file:{path}"
