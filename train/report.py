"""What a training run tells: a live display, `metrics.jsonl`, TensorBoard, and sample sheets."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

SMOOTHING = 0.98
"""Share of the past in the losses shown: single batches say little."""


class RunReport:
    def __init__(self, run: Path, total: int, seen: int, console: Console) -> None:
        """`total` and `seen` count pictures of the whole run."""
        self._log = (run / "metrics.jsonl").open("a")
        self._board = SummaryWriter(str(run / "tensorboard"))
        self._samples = run / "samples"
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"), TimeRemainingColumn(), TextColumn("{task.fields[losses]}"),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("start", total=total, completed=seen, speed="", losses="")
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
        self._console.print(message, highlight=False)

    def step(self, phase: str, seen: int, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._smooth[name] = SMOOTHING * self._smooth.get(name, value) + (1 - SMOOTHING) * value
        speed = self._progress.tasks[0].speed
        self._progress.update(
            self._task,
            description=phase,
            completed=seen,
            speed=f"{speed:.1f} pictures/s" if speed else "",
            losses=" ".join(f"{name} {value:.4f}" for name, value in self._smooth.items()),
        )

    def metrics(self, phase: str, seen: int, values: dict[str, float]) -> None:
        """Write one line of metrics, with the smoothed losses."""
        row = {"phase": phase, "pictures": seen, **self._smooth, **values}
        self._log.write(json.dumps(row) + "\n")
        self._log.flush()
        for name, value in {**self._smooth, **values}.items():
            self._board.add_scalar(name, value, seen)
        if not self._console.is_terminal:
            self.note(
                json.dumps({name: round(v, 5) if isinstance(v, float) else v for name, v in row.items()})
            )

    def sheet(self, seen: int, rows: list[list[NDArray[np.uint8]]]) -> None:
        """Save R'G'B' pictures [S, S, 3] as one PNG: a row each of gray, made, real."""
        self._samples.mkdir(exist_ok=True)
        picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
        cv2.imwrite(str(self._samples / f"{seen:09d}.png"), picture[..., ::-1])
