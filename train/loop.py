"""The training loop: the phases of the recipe, checkpoints, validation, and the finished generator.

Measured (details at the head of default.toml and in docs/experiments.md): with the phases of default.toml,
made in pieces once on 2 CPU cores and one H200, and the mean of three states, version 9 reached CIEDE2000
10.2 % below gray's on 1,770 test photographs. Speed: 31 crops of 128 pixels a second on 2 CPU cores without
a discriminator, 5.8 of 192 pixels with one; 690 of 192 pixels on an H200.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from colorcli.errors import ExitCode, UsageError
from colorcli.evaluation.pictures import central_square
from colorcli.files import atomic_write
from colorcli.networks.checkpoint import load_generator, save_generator
from colorcli.signals import Interrupted, StopSignals, ignore_signals
from colorcli.train.config import Config, Phase, to_toml
from colorcli.train.distributed import ProcessGroup
from colorcli.train.pack import Pack
from colorcli.train.render import Batch, Renderer
from colorcli.train.report import RunReport
from colorcli.train.samples import Samples
from colorcli.train.trainer import GENERATOR, Trainer
from colorcli.train.validate import ALONE, scale_to_colorfulness, validate

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
    processes: ProcessGroup = ALONE,
    resume: bool = False,
) -> None:
    """Run all phases over the pack; `folder` receives state, generator, metrics and sample sheets.

    Raises:
        UsageError: there are fewer than two pictures, or a batch cannot be divided among the processes.
        InputError: there is nothing to resume from.
        Interrupted: a signal asked it to end; the state is saved.
    """
    # The cores are needed for the network, and a forked worker would wait forever for its parent's threads.
    cv2.setNumThreads(1)
    torch.backends.cudnn.benchmark = True  # all crops of a phase have the same size
    training, held_out = split(len(pack), config)
    if len(held_out) < config.held_out:
        cause = f"{config.held_out} is more than half of {len(pack)} pictures"
        console.print(f"held_out: {cause}; {len(held_out)} are held out", highlight=False, soft_wrap=True)
    _check_batches(config, processes.size)
    trainer = Trainer(config, device, processes)
    if resume:
        trainer.restore(folder)
    elif processes.is_main:
        _remove_leftovers(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        RunReport(folder, config, trainer.crops_done, console, writes=processes.is_main) as report,
        # The current step is completed, because half a step cannot be resumed. A launcher may pass the signal
        # on more than once.
        StopSignals(patient=processes.size > 1) as signals,
    ):
        if processes.is_main:
            with atomic_write(folder / "config.toml") as partial:
                partial.write_text(to_toml(config))
        run = _Run(trainer, pack, Renderer(pack, device), training, held_out, folder, report, signals)
        start = 0
        for phase in config.phases:
            start = run.train_phase(phase, start)
        run.finish()


def split(count: int, config: Config) -> tuple[list[int], list[int]]:
    """Indices of the pictures to train on, and of those held out for validation: half of them at most."""
    if count < 2:
        raise UsageError("training set", f"{count} usable picture", "give at least two")
    order = np.random.default_rng(config.seed).permutation(count).tolist()
    held_out = min(config.held_out, count // 2)
    return order[held_out:], order[:held_out]


def _check_batches(config: Config, processes: int) -> None:
    for phase in config.phases:
        if phase.batch % processes:
            cause = f"a batch of {phase.batch} cannot be divided among {processes} processes"
            raise UsageError(f"phase {phase.name}", cause, "change batch, or the number of processes")


def _remove_leftovers(folder: Path) -> None:
    """Remove what a run left that was killed before its first checkpoint."""
    for name in (BEFORE_ADVERSARIAL, "metrics.jsonl"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


@dataclass(frozen=True)
class _Run:
    """What the phases of one run share."""

    trainer: Trainer
    pack: Pack
    renderer: Renderer
    training: list[int]
    held_out: list[int]
    folder: Path
    report: RunReport
    signals: StopSignals

    def train_phase(self, phase: Phase, start: int) -> int:
        """Train from crop `start` of the run, or from where it was resumed; returns the end of the phase."""
        trainer, is_main = self.trainer, self.trainer.processes.is_main
        samples = Samples(
            self.pack.shapes, self.training, phase.size, phase.degrade_prob, trainer.config.seed
        )
        end = start + phase.length
        if phase.adversarial and is_main and not (self.folder / BEFORE_ADVERSARIAL).exists():
            save_generator(trainer.averaged, trainer.card(), self.folder / BEFORE_ADVERSARIAL)
        for batch in _batches(samples, end, phase, trainer, self.renderer):
            losses = trainer.step(phase, trainer.crops_done - start, batch)
            self.report.step(phase.name, trainer.crops_done, losses)
            self._validate_and_save(phase, end)
        return end

    def _validate_and_save(self, phase: Phase, end: int) -> None:
        """Validate and save when due; stop after a signal."""
        trainer, config, done = self.trainer, self.trainer.config, self.trainer.crops_done
        stopping = trainer.processes.largest(self.signals.exit_code or 0)
        validating = _is_due(done, end, phase, config.validate_every)
        saving = _is_due(done, end, phase, config.checkpoint_every) or bool(stopping)
        if saving and trainer.processes.is_main:
            trainer.save_state(self.folder)  # at once: queues kill a run soon after they have asked it to end
        if validating or saving:
            trainer.recompute_batchnorm(trainer.averaged, self._conditions())
        if validating:
            scores, sheet = validate(
                trainer.averaged, self.pack, self.held_out, config.working_size, trainer.device,
                trainer.processes,
            )  # fmt: skip
            self.report.metrics(phase.name, done, scores)
            self.report.sheet(done, sheet)
        if saving and trainer.processes.is_main:
            save_generator(trainer.averaged, trainer.card(), self.folder / GENERATOR)
        if stopping:
            trainer.processes.barrier()  # a launcher kills the others as soon as one has left
            self.report.note(f"Interrupted after {done:,} crops; continue with --resume")
            raise Interrupted(ExitCode(stopping))

    def finish(self) -> None:
        """Make the finished generator of the mean of states: interpolated, then as colorful as asked."""
        trainer, config = self.trainer, self.trainer.config
        finished = trainer.mean_of_states()
        if config.weight_interpolation < 1 and any(each.adversarial for each in config.phases):
            before = trainer.processes.from_main(lambda: load_generator(self.folder / BEFORE_ADVERSARIAL)[0])
            trainer.interpolate_weights(finished, before.to(trainer.device))
        trainer.recompute_batchnorm(finished, self._conditions())
        if config.target_colorfulness:
            squares = [central_square(self.pack[index], config.working_size) for index in self.held_out]
            finished = scale_to_colorfulness(
                finished, squares, trainer.device, config.target_colorfulness, trainer.processes
            )
        if trainer.processes.is_main:
            save_generator(finished, trainer.card(), self.folder / GENERATOR)

    def _conditions(self) -> Iterator[Tensor]:
        """This process's share of the first plain crops: always the same, for the weights alone to matter."""
        config, processes, last = self.trainer.config, self.trainer.processes, self.trainer.config.phases[-1]
        samples = Samples(
            self.pack.shapes,
            self.training,
            config.statistics_size,
            last.degrade_prob,
            config.seed,
            plain=True,
        )
        count = -(-BATCHNORM_BATCHES // processes.size)  # the same for each process
        for number in range(processes.rank, count * processes.size, processes.size):
            positions = range(number * last.batch, (number + 1) * last.batch)
            batch = [samples[position] for position in positions]
            yield self.renderer(batch, config.statistics_size)["condition"]


def _batches(
    samples: Samples, end: int, phase: Phase, trainer: Trainer, renderer: Renderer
) -> Iterator[Batch]:
    """This process's share of the batches up to crop `end`; a sample depends on its position alone.

    On a CPU, workers make the pixels; a GPU makes its own.
    """
    processes, workers, on_cpu = trainer.processes, trainer.config.workers, trainer.device.type == "cpu"
    positions = range(trainer.crops_done + processes.rank, end, processes.size)
    if not positions:
        return
    render = partial(renderer, size=phase.size)
    loader = DataLoader(
        samples,
        phase.batch // processes.size,
        sampler=positions,
        num_workers=workers,
        collate_fn=render if on_cpu else list,
        worker_init_fn=_init_worker,
        prefetch_factor=8 if workers else None,
    )
    yield from loader if on_cpu else map(render, loader)


def _init_worker(_: int) -> None:
    cv2.setNumThreads(1)  # for workers that are not forked
    ignore_signals()


def _is_due(done: int, end: int, phase: Phase, every: int) -> bool:
    """Whether the latest batch passed a multiple of `every`, or ended the phase."""
    return done == end or done // every > (done - phase.batch) // every
