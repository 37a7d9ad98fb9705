"""What a training run reports: a live display, `metrics.jsonl`, TensorBoard, and sample sheets."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import cv2
import numpy as np
from rich.console import Console
from rich.progress import TextColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from colorcli.evaluation.pictures import Picture
from colorcli.progress import progress_bar
from colorcli.train.config import Config

SMOOTHING = 0.98
"""Decay of the running mean of the losses shown: those of single batches are noisy."""
DISPLAY_INTERVAL = 1.0
"""Seconds between updates of the display: to read a loss is to wait for the GPU."""
FIRST_LINE, LINE_INTERVAL = 10.0, 60.0
"""Seconds without a terminal until the first line of progress, and between lines."""


class ProgressLines:
    """Lines of progress now and then, where there is no terminal for a bar."""

    def __init__(self, console: Console, total: int, done: int = 0) -> None:
        self._console, self._total, self._first = console, total, done
        self._begun = time.monotonic()
        self._next = self._begun + FIRST_LINE

    def update(self, what: str, done: int, unit: str, more: str = "") -> None:
        """Print a line if one is due: `what`, how much is done, how fast, and the time left."""
        now = time.monotonic()
        if self._console.is_terminal or now < self._next:
            return
        self._next = now + LINE_INTERVAL
        speed = (done - self._first) / (now - self._begun)
        left = timedelta(seconds=round((self._total - done) / speed)) if speed else "unknown"
        line = f"{what}: {done:,} of {self._total:,} {unit}, {speed:.1f} a second, time left {left}"
        self._console.print(line + (more and f", {more}"), markup=False, highlight=False, soft_wrap=True)


class RunReport:
    """Context manager: the display runs and the files are open inside it."""

    def __init__(
        self, folder: Path, config: Config, done: int, console: Console, *, writes: bool = True
    ) -> None:
        """`done` counts the crops of the whole run; a process that does not write reports nothing."""
        self._folder, self._console, self._writes = folder, console, writes
        if writes:
            # What an interrupted run reported after its last checkpoint is reported again.
            self._log = _open_log(folder / "metrics.jsonl", done)
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        fields = (TextColumn("{task.fields[speed]}"), TextColumn("{task.fields[losses]}"))
        self._progress = progress_bar(*fields, console=console)
        self._lines = ProgressLines(console, config.length, done)
        self._task = self._progress.add_task(
            "start", total=config.length, completed=done, speed="", losses=""
        )
        self._smooth: dict[str, Tensor] = {}
        self._next_display = 0.0

    def __enter__(self) -> Self:
        self.note(f"Scores: {self._folder / 'metrics.jsonl'}, sample sheets: {self._folder / 'samples'}")
        self.note(f"Curves: tensorboard --logdir {self._folder / 'tensorboard'}")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._writes:
            self._board.close()
            self._log.close()

    def note(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def step(self, phase: str, done: int, losses: Mapping[str, Tensor]) -> None:
        """Take the losses of a batch, and update the display now and then."""
        for name, value in losses.items():
            self._smooth.setdefault(name, value.clone()).lerp_(value, 1 - SMOOTHING)
        if time.monotonic() < self._next_display:
            return
        self._next_display = time.monotonic() + DISPLAY_INTERVAL
        speed = self._progress.tasks[0].speed
        shown = " ".join(f"{name} {float(value):.4f}" for name, value in self._smooth.items())
        self._progress.update(
            self._task,
            description=phase,
            completed=done,
            speed=f"{speed:.1f} crops/s" if speed else "",
            losses=shown,
        )
        self._lines.update(phase, done, "crops", shown)

    def metrics(self, phase: str, done: int, scores: dict[str, float]) -> None:
        """Write the scores of a validation beside the smoothed losses, as one line of `metrics.jsonl`."""
        if not self._writes:
            return
        values = {**{name: float(value) for name, value in self._smooth.items()}, **scores}
        self._log.write(json.dumps({"phase": phase, "crops": done, **values}) + "\n")
        self._log.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, done)
        if not self._console.is_terminal:
            rounded = {name: round(value, 5) for name, value in values.items()}
            self.note(json.dumps({"phase": phase, "crops": done, **rounded}))

    def sheet(self, done: int, rows: list[list[Picture]]) -> None:
        """Save pictures [S, S, 3] as one PNG, one row each of gray, generated, real."""
        if not self._writes:
            return
        samples = self._folder / "samples"
        samples.mkdir(exist_ok=True)
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
        cv2.imwrite(str(samples / f"{done:09d}.png"), sheet[..., ::-1])


def _open_log(path: Path, done: int) -> TextIO:
    """Open the log to append to what it says about the first `done` crops."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    log = path.open("w")
    log.writelines(line for line in lines if json.loads(line)["crops"] <= done)
    return log
