"""Everything that a training run consists of: networks, optimizers, one step, and its state on disk."""

import copy
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from colorcli.errors import InputError
from colorcli.networks.card import ModelCard
from colorcli.networks.checkpoint import load_generator, save_generator
from colorcli.networks.generators import GENERATORS, Generator
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.train import losses
from colorcli.train.config import Config, Phase
from colorcli.train.discriminators import FeatureDiscriminator, PatchDiscriminator
from colorcli.train.distributed import ProcessGroup
from colorcli.train.features import Features
from colorcli.train.muon import Muon
from colorcli.train.objective import Objective
from colorcli.train.render import Batch
from colorcli.train.state import load_state, save_state

STATE, GENERATOR = "state.safetensors", "generator.safetensors"
"""File names in the run's folder."""
STATEFUL = (
    "generator", "averaged", "mean", "discriminator", "generator_optimizer", "discriminator_optimizer",
)  # fmt: skip
"""Attributes of the trainer that are saved and restored."""


def learning_rate(phase: Phase, done: int, warmup: int) -> float:
    """Rate after `done` of the phase's crops: a linear rise, then half a cosine down to a fiftieth."""
    rise = min(1.0, (done + phase.batch) / warmup) if warmup else 1.0
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done / phase.crops)))
    return phase.learning_rate * rise * fall


def _initial_generator(config: Config) -> Generator:
    if config.initial_weights:
        return load_generator(Path(config.initial_weights))[0].train()
    generator = GENERATORS[config.generator]()
    if config.encoder_weights and isinstance(generator, MobileUNet):
        generator.encoder.load_imagenet(Path(config.encoder_weights))
    return generator


class Trainer:
    """Generator, its averaged copy, discriminator, their optimizers, and the number of crops done."""

    def __init__(self, config: Config, device: torch.device, processes: ProcessGroup) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.processes, self.crops_done = config, device, processes, 0
        self.generator = _initial_generator(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.mean = AveragedModel(self.averaged)  # of states of the run, where they are due
        self.objective = Objective(config, device)
        extractor = self.objective.extractor
        self.discriminator = FeatureDiscriminator(extractor.channels) if extractor else PatchDiscriminator()
        for network in (self.objective, self.discriminator):
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_optimizer = self._make_optimizer()
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), config.discriminator_learning_rate, betas=(0.5, 0.999)
        )

    def _make_optimizer(self) -> torch.optim.AdamW:
        """The generator's, with a learning rate of its own for a pretrained encoder."""
        config, encoder = self.config, getattr(self.generator, "encoder", None)
        known = encoder is not None and (config.encoder_weights or config.initial_weights)
        pretrained = set(encoder.parameters()) if encoder is not None and known else set()
        parameters = list(self.generator.parameters())
        groups: list[dict[str, object]] = [
            {"params": [p for p in parameters if p not in pretrained], "lr_scale": 1.0},
            {"params": [p for p in parameters if p in pretrained], "lr_scale": config.encoder_lr_scale},
        ]
        if config.muon:
            return Muon(groups, self.processes, betas=(0.9, 0.99), weight_decay=config.weight_decay)
        return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=config.weight_decay)

    def step(self, phase: Phase, done: int, batch: Batch) -> dict[str, float]:
        """Train on one batch, `done` crops into the phase; returns the weighted losses by name."""
        for group in self.generator_optimizer.param_groups:
            group["lr"] = group["lr_scale"] * learning_rate(phase, done, self.config.warmup)
        number, rank = self.crops_done // phase.batch, self.processes.rank
        # Dropout depends on the step alone, not on what was drawn before it, so that runs can be resumed.
        torch.manual_seed(random.Random(f"{self.config.seed} {number} {rank}").getrandbits(63))
        with self.objective.autocast():
            chroma, logits = self.generator.predict(batch["condition"])
            chroma = chroma.float()
            generated = self.objective.features(batch["luma"], chroma)
            with torch.no_grad():
                real = self.objective.features(batch["luma"], batch["chroma"])
        parts = self.objective.losses(
            phase, batch, (chroma, logits), (generated, real),
            turn=number + rank, seed=(self.config.seed, number, rank),
        )  # fmt: skip
        if phase.adversarial:
            self.discriminator.requires_grad_(False)
            head_logits = self.discriminator(batch["condition"], generated.levels)
            parts["adversarial"] = phase.adversarial * losses.generator_loss(head_logits)
        self._update_generator(torch.stack(list(parts.values())).sum())
        if phase.adversarial:
            parts["discriminator"] = self._train_discriminator(batch["condition"], generated, real)
        self.crops_done += phase.batch
        if self.config.is_mean_due(self.crops_done - phase.batch, self.crops_done):
            self.mean.update_parameters(self.averaged)
        return {name: float(part.detach()) for name, part in parts.items()}

    def _update_generator(self, loss: Tensor) -> None:
        self.generator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.mean(parameter.grad for parameter in self.generator.parameters())
        nn.utils.clip_grad_norm_(self.generator.parameters(), self.config.clip_norm)
        self.generator_optimizer.step()
        self._update_average()

    def _train_discriminator(self, condition: Tensor, generated: Features, real: Features) -> Tensor:
        self.discriminator.requires_grad_(True)
        levels = zip(real.levels, generated.levels, strict=True)
        pairs = [torch.cat([a, b.detach()]) for a, b in levels]
        head_logits = self.discriminator(condition.repeat(2, 1, 1, 1), pairs)
        halves = [logits.chunk(2) for logits in head_logits]
        loss = losses.discriminator_loss([a for a, _ in halves], [b for _, b in halves])
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.mean(parameter.grad for parameter in self.discriminator.parameters())
        self.discriminator_optimizer.step()
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        # The decay grows to its final value, because a young average would keep its random start for long.
        step = self.crops_done / self.config.phases[0].batch
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        for average, latest in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(latest, 1 - decay)

    def mean_of_states(self) -> Generator:
        """A copy of the mean of the states that were due, with batch-norm statistics of one of them."""
        mean = copy.deepcopy(self.mean.module)
        assert isinstance(mean, Generator)
        return mean

    def recompute_batchnorm(self, averaged: Generator, conditions: Iterable[Tensor]) -> None:
        """Compute batch-norm statistics for averaged weights, over this process's batches of conditions.

        Statistics belong to the weights that they were computed with: neither the latest ones nor their
        average fit averaged weights (Izmailov et al. 2018, section 3.2).
        """
        update_bn(conditions, averaged)
        self.processes.mean(value for name, value in averaged.named_buffers() if ".running_" in name)

    @torch.no_grad()
    def interpolate_weights(self, averaged: Generator, before: Generator) -> None:
        """Move averaged weights towards those of `before`, to `weight_interpolation` of the way."""
        for average, start in zip(averaged.parameters(), before.parameters(), strict=True):
            average.lerp_(start, 1 - self.config.weight_interpolation)

    def save(self, run: Path) -> None:
        """Write the whole state, and the averaged generator with its card."""
        parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
        save_state(run / STATE, parts, {"crops_done": self.crops_done, "seed": self.config.seed})
        save_generator(self.averaged, self.card(), run / GENERATOR)

    def restore(self, run: Path) -> None:
        """Continue from what `save` wrote.

        Raises:
            InputError: there is no state, or it belongs to another version or configuration.
        """
        parts, facts = self.processes.from_main(lambda: load_state(run / STATE))
        try:
            self.crops_done = facts["crops_done"]
            for name in STATEFUL:
                getattr(self, name).load_state_dict(parts[name])
        except (KeyError, ValueError, RuntimeError) as error:
            cause = "training state of another version or configuration"
            raise InputError(run / STATE, cause, "start the run again in another folder") from error

    def card(self) -> ModelCard:
        """The card of the generator that this run makes."""
        shared = ("name", "version", "working_size", "training_data", "license")
        values: dict[str, Any] = {name: getattr(self.config, name) for name in shared}
        return ModelCard(architecture=self.config.generator, multiple_of=self.generator.multiple_of, **values)
