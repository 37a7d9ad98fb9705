"""Finding ffmpeg, asking it what it can do, and running it without hangs.

ffmpeg only ever encodes: it reads raw frames that we write to its standard input and never opens a file of
the user's, so no container trick can make it read another one.
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
from types import TracebackType
from typing import IO, Self

from colorcli.errors import InputError, SetupError

OLDEST = (5, 1)
"""The first with -fps_mode, without which frames of variable rate are dropped or doubled."""
PIPE_SIZE = 1 << 20
ERROR_LINES = 20
"""How much of ffmpeg's last words is kept."""
EMPTY_WORDS = (
    "Conversion failed", "Terminating", "Task finished", "Nothing was written", "Error opening output",
    "Error while opening encoder", "Could not open encoder", "Error splitting", "Generic error",
    "Error sending frames", "Error initializing output",
)  # fmt: skip
"""Beginnings of lines that say that something failed, but not what."""


@lru_cache
def find_ffmpeg() -> str:
    """The ffmpeg to use: `COLORCLI_FFMPEG`, else PATH's if new enough, else the one imageio-ffmpeg carries.

    Raises:
        SetupError: the named one does not run, or there is none.
    """
    if named := os.environ.get("COLORCLI_FFMPEG"):
        if version(named) < OLDEST:
            raise SetupError(named, "is no ffmpeg of version 5.1 or newer", "correct COLORCLI_FFMPEG")
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
    """Major and minor version of a binary; (0, 0) if it is no ffmpeg. Builds from git count as new."""
    try:
        line = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=20).stdout[:80]
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return 0, 0
    if found := re.match(r"ffmpeg version n?(\d+)\.(\d+)", line):
        return int(found[1]), int(found[2])
    return (99, 0) if line.startswith("ffmpeg version ") else (0, 0)


@lru_cache
def version_line() -> str:
    """The first line that ffmpeg says about itself: two runs by the same build say the same."""
    said = subprocess.run([find_ffmpeg(), "-version"], capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0]


@lru_cache
def encoder_formats(encoder: str) -> tuple[str, ...]:
    """Pixel formats that a video encoder takes, in its own order; empty where it does not say.

    Raises:
        SetupError: this ffmpeg has no such encoder.
    """
    asked = [find_ffmpeg(), "-hide_banner", "-h", f"encoder={encoder}"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    if "Encoder" not in said or "Supported sample" in said:  # sound has samples, pictures have pixels
        raise SetupError(
            encoder,
            "this ffmpeg has no such picture encoder",
            "see `ffmpeg -encoders`, or COLORCLI_FFMPEG",
        )
    listed = re.search(r"Supported pixel formats: (.*)", said)
    return tuple(listed[1].split()) if listed else ()


class Process:
    """A running ffmpeg fed on its standard input. A context manager: leaving it in trouble kills it.

    Standard error is drained by a thread, so that a talkative encoder never blocks; its last lines name the
    cause when it fails.
    """

    def __init__(self, command: list[str], *, subject: Path, read_output: bool = False) -> None:
        self._subject = subject
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if read_output else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C goes to the whole terminal group; the encoder must outlive it to be ended in order.
            start_new_session=True,
            # A frame is megabytes: with the usual 64 kB, writer and reader would take turns all the time.
            pipesize=PIPE_SIZE,
        )
        self._said: deque[str] = deque(maxlen=ERROR_LINES)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

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
            InputError: it failed; the cause is its own last words.
        """
        if self._process.wait() != 0:
            self._listener.join()
            raise self.failure()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def failure(self) -> InputError:
        """The error to raise when it went away early."""
        self._process.wait()
        self._listener.join()
        return InputError(
            self._subject, f"ffmpeg failed: {self.last_words}", "check the encoder's options and disk"
        )

    @property
    def last_words(self) -> str:
        telling = [line for line in self._said if line and not line.startswith(EMPTY_WORDS)]
        return "; ".join((telling or list(self._said))[-2:]) or "it gave no reason"

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(re.sub(r"^(\[[^]]*\] )+", "", line.decode(errors="replace").strip()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
