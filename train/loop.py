"""The training loop: generator alone, then against the discriminator, in one readable piece."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from colorcli.errors import UsageError
from colorcli.networks.checkpoint import load_generator, save_generator
from colorcli.networks.generators import Generator
from colorcli.train.config import Config, Phase, to_toml
from colorcli.train.pictures import Crops, Pack
from colorcli.train.ranks import Ranks
from colorcli.train.report import RunReport
from colorcli.train.trainer import Batch, Trainer
from colorcli.train.validate import calibrated, validate

BEFORE_ADVERSARIAL = "before_adversarial.safetensors"
SETTLING = 40
"""Batches over which batch norm's statistics are taken for the averaged weights."""


def train(
    config: Config,
    pack: Pack,
    run: Path,
    device: torch.device,
    console: Console,
    *,
    ranks: Ranks | None = None,
    resume: bool = False,
) -> None:
    """Run all phases over the pack; `run` receives state, generator, metrics and samples.

    Raises:
        UsageError: the set is too small.
        InputError: nothing to resume from.
        KeyboardInterrupt: Ctrl-C was pressed; the state is saved.
    """
    # The cores belong to the network; and a forked worker would wait for ever for its parent's threads.
    cv2.setNumThreads(1)
    torch.backends.cudnn.benchmark = True  # a phase's crops are all of one size
    trainer = Trainer(config, device, ranks or Ranks())
    if resume:
        trainer.restore(run)
    training, held_out = split(len(pack), config)
    run.mkdir(parents=True, exist_ok=True)
    with RunReport(run, config.pictures, trainer.seen, console) as report, _finishing_the_step() as stop:
        (run / "config.toml").write_text(to_toml(config))
        _run_phases(_Run(trainer, pack, training, held_out, run, report, stop))


def split(count: int, config: Config) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out for validation."""
    if count < 2:
        raise UsageError("training set", f"{count} usable picture", "give at least two")
    order = np.random.default_rng(config.seed).permutation(count).tolist()
    held_out = min(config.validation, count // 2)
    return order[held_out:], order[:held_out]


@dataclass(frozen=True)
class _Run:
    trainer: Trainer
    pack: Pack
    training: list[int]
    held_out: list[int]
    folder: Path
    report: RunReport
    stop: threading.Event


def _run_phases(run: _Run) -> None:
    trainer, start = run.trainer, 0
    for phase in trainer.config.phases:
        crops = Crops(run.pack, run.training, phase.size, phase.degrade_prob, trainer.config.seed)
        end = start + phase.pictures // phase.batch * phase.batch
        if phase.adversarial and trainer.ranks.is_first and not (run.folder / BEFORE_ADVERSARIAL).exists():
            save_generator(trainer.averaged, trainer.card(), run.folder / BEFORE_ADVERSARIAL)
        for batch in _batches(crops, end, phase, trainer):
            parts = trainer.step(phase, trainer.seen - start, batch)
            if trainer.ranks.is_first:
                run.report.step(phase.name, trainer.seen, parts)
                _keep(run, phase, crops, end)
        start = end
    if trainer.ranks.is_first:
        _finish(run, phase, crops)


def _keep(run: _Run, phase: Phase, crops: Crops, end: int) -> None:
    """Validate and save where it is time to; leave where Ctrl-C was pressed."""
    trainer, config = run.trainer, run.trainer.config
    validating = _due(trainer.seen, end, phase, config.validate_every)
    saving = _due(trainer.seen, end, phase, config.checkpoint_every) or run.stop.is_set()
    if validating or saving:
        trainer.recompute_batchnorm(_conditions(crops, phase, trainer))
    if validating:
        values, sheet = validate(
            trainer.averaged, run.pack, run.held_out, config.working_size, trainer.device
        )
        run.report.metrics(phase.name, trainer.seen, values)
        run.report.sheet(trainer.seen, sheet)
    if saving:
        trainer.save(run.folder)
    if run.stop.is_set():
        run.report.note(f"Interrupted after {trainer.seen:,} pictures; continue with --resume")
        raise KeyboardInterrupt


def _finish(run: _Run, phase: Phase, crops: Crops) -> None:
    """Make the finished generator of the averaged one: blended, settled, as colorful as asked."""
    trainer, config = run.trainer, run.trainer.config
    if config.blend < 1 and any(phase.adversarial for phase in config.phases):
        before, _ = load_generator(run.folder / BEFORE_ADVERSARIAL)
        trainer.blend(before.to(trainer.device))
        trainer.recompute_batchnorm(_conditions(crops, phase, trainer))
    finished: Generator = trainer.averaged
    if config.colorfulness:
        finished = calibrated(
            finished, run.pack, run.held_out, config.working_size, trainer.device, config.colorfulness
        )
    save_generator(finished, trainer.card(), run.folder / "generator.safetensors")


def _batches(crops: Crops, end: int, phase: Phase, trainer: Trainer) -> Iterator[Batch]:
    """This process's share of the batches up to position `end`; a sample depends on its position alone."""
    ranks, workers = trainer.ranks, trainer.config.workers
    positions = range(trainer.seen + ranks.rank, end, ranks.count)
    if not positions:
        return
    loader = DataLoader(
        crops,
        max(1, phase.batch // ranks.count),
        sampler=positions,
        num_workers=workers,
        pin_memory=trainer.device.type == "cuda",
        worker_init_fn=_quiet_worker,
        prefetch_factor=8 if workers else None,
    )
    for batch in loader:
        yield {
            name: value.to(trainer.device, memory_format=torch.channels_last, non_blocking=True)
            for name, value in batch.items()
        }


def _conditions(crops: Crops, phase: Phase, trainer: Trainer) -> Iterator[Tensor]:
    """The first crops' conditions, always the same: what depends on them does not depend on when."""
    for batch in DataLoader(crops, phase.batch, sampler=range(SETTLING * phase.batch)):
        yield batch["condition"].to(trainer.device, memory_format=torch.channels_last)


def _quiet_worker(_: int) -> None:
    """Ctrl-C is the main process's affair."""
    cv2.setNumThreads(1)  # where workers are not forked
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _due(seen: int, end: int, phase: Phase, every: int) -> bool:
    """Whether a multiple of `every` was passed with the latest batch, or the phase is over."""
    return seen == end or seen // every > (seen - phase.batch) // every


@contextmanager
def _finishing_the_step() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of tearing a step apart: half a step could not be resumed from."""
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
