"""The training loop: the phases of the recipe, checkpoints, validation, and the finished generator.

Measured (details at the head of default.toml and in docs/experiments.md): with the phases of default.toml,
made in pieces once on 2 CPU cores and one H200, and the mean of three states, version 9 reached CIEDE2000
10.2 % below gray's on 1,770 test photographs. Speed: 31 crops of 128 pixels a second on 2 CPU cores without
a discriminator, 5.8 of 192 pixels with one; 690 of 192 pixels on an H200.
"""

from collections.abc import Iterator
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
from colorcli.signals import StopSignals, ignore_signals
from colorcli.train.config import Config, Phase, to_toml
from colorcli.train.crops import Crops
from colorcli.train.distributed import ProcessGroup
from colorcli.train.objective import Batch
from colorcli.train.pack import Pack
from colorcli.train.report import RunReport
from colorcli.train.trainer import GENERATOR, Trainer
from colorcli.train.validate import scale_to_colorfulness, validate

BEFORE_ADVERSARIAL = "before_adversarial.safetensors"
BATCHNORM_BATCHES = 40
"""Batches over which batch-norm statistics of the averaged weights are computed."""


def train(
    config: Config,
    pack: Pack,
    folder: Path,
    device: torch.device,
    console: Console,
    *,
    processes: ProcessGroup | None = None,
    resume: bool = False,
) -> None:
    """Run all phases over the pack; `folder` receives state, generator, metrics and sample sheets.

    Raises:
        UsageError: there are fewer than two pictures.
        InputError: there is nothing to resume from.
        Interrupted: a signal asked it to end; the state is saved.
    """
    # The cores are needed for the network, and a forked worker would wait forever for its parent's threads.
    cv2.setNumThreads(1)
    torch.backends.cudnn.benchmark = True  # all crops of a phase have the same size
    trainer = Trainer(config, device, processes or ProcessGroup())
    if resume:
        trainer.restore(folder)
    training, held_out = split(len(pack), config)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        RunReport(folder, config.crops, trainer.crops_done, console) as report,
        StopSignals() as signals,  # the current step is completed, because half a step cannot be resumed
    ):
        (folder / "config.toml").write_text(to_toml(config))
        run = _Run(trainer, pack, training, held_out, folder, report, signals)
        start = 0
        for phase in config.phases:
            crops = Crops(pack, training, phase.size, phase.degrade_prob, config.seed)
            start = run.train_phase(phase, crops, start)
        if trainer.processes.is_main:
            run.finish(phase, crops)


def split(count: int, config: Config) -> tuple[list[int], list[int]]:
    """Indices of the pictures to train on, and of those held out for validation."""
    if count < 2:
        raise UsageError("training set", f"{count} usable picture", "give at least two")
    order = np.random.default_rng(config.seed).permutation(count).tolist()
    held_out = min(config.held_out, count // 2)
    return order[held_out:], order[:held_out]


@dataclass(frozen=True)
class _Run:
    """What the phases of one run share."""

    trainer: Trainer
    pack: Pack
    training: list[int]
    held_out: list[int]
    folder: Path
    report: RunReport
    signals: StopSignals

    def train_phase(self, phase: Phase, crops: Crops, start: int) -> int:
        """Train from crop `start` of the run, or from where it was resumed; returns the end of the phase."""
        trainer, is_main = self.trainer, self.trainer.processes.is_main
        end = start + phase.crops // phase.batch * phase.batch
        if phase.adversarial and is_main and not (self.folder / BEFORE_ADVERSARIAL).exists():
            save_generator(trainer.averaged, trainer.card(), self.folder / BEFORE_ADVERSARIAL)
        for batch in _batches(crops, end, phase, trainer):
            losses = trainer.step(phase, trainer.crops_done - start, batch)
            if is_main:
                self.report.step(phase.name, trainer.crops_done, losses)
                self._validate_and_save(phase, crops, end)
        return end

    def _validate_and_save(self, phase: Phase, crops: Crops, end: int) -> None:
        """Validate and save when due; stop after a signal."""
        trainer, config, done = self.trainer, self.trainer.config, self.trainer.crops_done
        validating = _is_due(done, end, phase, config.validate_every)
        saving = _is_due(done, end, phase, config.checkpoint_every) or self.signals.received()
        if validating or saving:
            trainer.recompute_batchnorm(_conditions(crops, phase, trainer))
        if validating:
            scores, sheet = validate(
                trainer.averaged, self.pack, self.held_out, config.working_size, trainer.device
            )
            self.report.metrics(phase.name, done, scores)
            self.report.sheet(done, sheet)
        if saving:
            trainer.save(self.folder)
        if self.signals.received():
            self.report.note(f"Interrupted after {done:,} crops; continue with --resume")
            self.signals.check()

    def finish(self, phase: Phase, crops: Crops) -> None:
        """Make the finished generator of the averaged weights: interpolated, then as colorful as asked."""
        trainer, config = self.trainer, self.trainer.config
        if config.weight_interpolation < 1 and any(each.adversarial for each in config.phases):
            before, _ = load_generator(self.folder / BEFORE_ADVERSARIAL)
            trainer.interpolate_weights(before.to(trainer.device))
            trainer.recompute_batchnorm(_conditions(crops, phase, trainer))
        finished = trainer.averaged
        if config.target_colorfulness:
            finished = scale_to_colorfulness(
                finished, self.pack, self.held_out, config.working_size, trainer.device,
                config.target_colorfulness,
            )  # fmt: skip
        save_generator(finished, trainer.card(), self.folder / GENERATOR)


def _batches(crops: Crops, end: int, phase: Phase, trainer: Trainer) -> Iterator[Batch]:
    """This process's share of the batches up to crop `end`; a sample depends on its position alone."""
    processes, workers = trainer.processes, trainer.config.workers
    positions = range(trainer.crops_done + processes.rank, end, processes.size)
    if not positions:
        return
    loader = DataLoader(
        crops,
        max(1, phase.batch // processes.size),
        sampler=positions,
        num_workers=workers,
        pin_memory=trainer.device.type == "cuda",
        worker_init_fn=_init_worker,
        prefetch_factor=8 if workers else None,
    )
    for batch in loader:
        yield {
            name: value.to(trainer.device, memory_format=torch.channels_last, non_blocking=True)
            for name, value in batch.items()
        }


def _conditions(crops: Crops, phase: Phase, trainer: Trainer) -> Iterator[Tensor]:
    """Conditions of the first crops, always the same, so that statistics depend on the weights alone."""
    for batch in DataLoader(crops, phase.batch, sampler=range(BATCHNORM_BATCHES * phase.batch)):
        yield batch["condition"].to(trainer.device, memory_format=torch.channels_last)


def _init_worker(_: int) -> None:
    cv2.setNumThreads(1)  # for workers that are not forked
    ignore_signals()


def _is_due(done: int, end: int, phase: Phase, every: int) -> bool:
    """Whether the latest batch passed a multiple of `every`, or ended the phase."""
    return done == end or done // every > (done - phase.batch) // every
