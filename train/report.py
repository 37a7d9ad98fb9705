"""What a training run reports: a live display, `metrics.jsonl`, TensorBoard, and sample sheets."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from rich.console import Console
from rich.progress import TextColumn
from torch.utils.tensorboard import SummaryWriter

from colorcli.evaluation.pictures import Picture
from colorcli.progress import progress_bar

SMOOTHING = 0.98
"""Decay of the running mean of the losses shown: those of single batches are noisy."""


class RunReport:
    """Context manager: the display runs and the files are open inside it."""

    def __init__(self, folder: Path, total: int, done: int, console: Console) -> None:
        """`total` and `done` count crops of the whole run."""
        self._log = (folder / "metrics.jsonl").open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"))
        self._samples = folder / "samples"
        self._console = console
        fields = (TextColumn("{task.fields[speed]}"), TextColumn("{task.fields[losses]}"))
        self._progress = progress_bar(*fields, console=console)
        self._task = self._progress.add_task("start", total=total, completed=done, speed="", losses="")
        self._smooth: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._board.close()
        self._log.close()

    def note(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, highlight=False)

    def step(self, phase: str, done: int, losses: dict[str, float]) -> None:
        """Update the display after a batch."""
        for name, value in losses.items():
            self._smooth[name] = SMOOTHING * self._smooth.get(name, value) + (1 - SMOOTHING) * value
        speed = self._progress.tasks[0].speed
        self._progress.update(
            self._task,
            description=phase,
            completed=done,
            speed=f"{speed:.1f} crops/s" if speed else "",
            losses=" ".join(f"{name} {value:.4f}" for name, value in self._smooth.items()),
        )

    def metrics(self, phase: str, done: int, scores: dict[str, float]) -> None:
        """Write the scores of a validation beside the smoothed losses, as one line of `metrics.jsonl`."""
        values = {**self._smooth, **scores}
        self._log.write(json.dumps({"phase": phase, "crops": done, **values}) + "\n")
        self._log.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, done)
        if not self._console.is_terminal:
            rounded = {name: round(value, 5) for name, value in values.items()}
            self.note(json.dumps({"phase": phase, "crops": done, **rounded}))

    def sheet(self, done: int, rows: list[list[Picture]]) -> None:
        """Save pictures [S, S, 3] as one PNG, one row each of gray, generated, real."""
        self._samples.mkdir(exist_ok=True)
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
        cv2.imwrite(str(self._samples / f"{done:09d}.png"), sheet[..., ::-1])
