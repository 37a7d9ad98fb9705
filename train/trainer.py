"""Everything that a training run consists of: networks, optimizers, one step, and its state on disk."""

import copy
import math
import random
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from colorcli.errors import InputError, SetupError
from colorcli.networks.card import ModelCard
from colorcli.networks.checkpoint import load_generator
from colorcli.networks.generators import GENERATORS, Generator
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.train import losses
from colorcli.train.auxiliary_extractors import TURNS, random_view
from colorcli.train.captured import CapturedStep
from colorcli.train.config import Config, Phase
from colorcli.train.discriminators import FeatureDiscriminator, PatchDiscriminator
from colorcli.train.distributed import ProcessGroup
from colorcli.train.features import Features
from colorcli.train.imagenet import encoder_weights
from colorcli.train.muon import Muon
from colorcli.train.objective import Objective
from colorcli.train.render import Batch
from colorcli.train.state import load_state, save_state
from colorcli.train.tensors import to_device

STATE, GENERATOR = "state.safetensors", "generator.safetensors"
"""File names in the run's folder."""
STATEFUL = (
    "generator", "averaged", "mean", "discriminator", "generator_optimizer", "discriminator_optimizer",
)  # fmt: skip
"""Attributes of the trainer that are saved and restored."""
CAPTURABLE: dict[str, Any] = {"fused": True, "capturable": True}
"""Of optimizers: fused kernels read learning rate and step from the device."""


def learning_rate(phase: Phase, done: int, warmup: int) -> float:
    """Rate after `done` of the phase's crops: a linear rise, then half a cosine down to a fiftieth."""
    rise = min(1.0, (done + phase.batch) / warmup) if warmup else 1.0
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done / phase.crops)))
    return phase.learning_rate * rise * fall


def _initial_generator(config: Config, processes: ProcessGroup) -> Generator:
    if config.initial_weights:
        return load_generator(Path(config.initial_weights))[0].train()
    generator = GENERATORS[config.generator]()
    if config.encoder_weights and isinstance(generator, MobileUNet):
        weights = processes.from_main(lambda: encoder_weights(config.encoder_weights))
        try:
            generator.encoder.load_imagenet(weights)
        except (KeyError, RuntimeError) as error:
            cause = f"weights of another network ({error})"
            raise SetupError(config.encoder_weights, cause, "check encoder_weights") from error
    return generator


class _Predictor(nn.Module):
    """`Generator.predict` as a module, as DistributedDataParallel needs it."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.generator.predict(condition)


class Trainer:
    """Generator, its averaged copy, discriminator, their optimizers, and the number of crops done."""

    def __init__(self, config: Config, device: torch.device, processes: ProcessGroup) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.processes, self.crops_done = config, device, processes, 0
        self.generator = _initial_generator(config, processes).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.mean = AveragedModel(self.averaged)  # of states of the run, where they are due
        self.objective = Objective(config, device)
        extractor = self.objective.extractor
        self.discriminator = FeatureDiscriminator(extractor.channels) if extractor else PatchDiscriminator()
        for network in (self.objective, self.discriminator):
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_optimizer = self._make_optimizer()
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(),
            config.discriminator_learning_rate,
            betas=(0.5, 0.999),
            **CAPTURABLE,
        )
        self._move_learning_rates()
        self._predict = processes.parallel(_Predictor(self.generator))
        self._discriminate = processes.parallel(self.discriminator)
        self._ema_weight = torch.zeros((), device=device)
        self._latest: tuple[Phase, Callable[[Batch, int], Batch]] | None = None

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
        settings: dict[str, Any] = {"betas": (0.9, 0.99), "weight_decay": config.weight_decay, **CAPTURABLE}
        if config.muon:
            return Muon(groups, self.processes, **settings)
        return torch.optim.AdamW(groups, **settings)

    def _move_learning_rates(self) -> None:
        for group in self.generator_optimizer.param_groups:
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=self.device)

    def step(self, phase: Phase, done: int, batch: Batch) -> Batch:
        """Train on one batch, `done` crops into the phase.

        Returns the weighted losses by name, which the next step may overwrite; reading them waits for a GPU.
        """
        for group in self.generator_optimizer.param_groups:
            group["lr"].fill_(group["lr_scale"] * learning_rate(phase, done, self.config.warmup))
        # It grows to its final value, because a young average would keep its random start for long.
        steps = self.crops_done / self.config.phases[0].batch
        self._ema_weight.fill_(1 - min(self.config.ema_decay, (1 + steps) / (10 + steps)))
        number, rank = self.crops_done // phase.batch, self.processes.rank
        # Dropout depends on the step alone, not on what was drawn before it, so that runs can be resumed.
        torch.manual_seed(random.Random(f"{self.config.seed} {number} {rank}").getrandbits(63))
        view = to_device(random_view((self.config.seed, number, rank)), self.device)
        parts = self._step_of(phase)({**batch, "view": view}, (number + rank) % TURNS)
        self.crops_done += phase.batch
        if self.config.is_mean_due(self.crops_done - phase.batch, self.crops_done):
            self.mean.update_parameters(self.averaged)
        return parts

    def _step_of(self, phase: Phase) -> Callable[[Batch, int], Batch]:
        """The computation of a phase's steps, on a GPU as CUDA graphs."""
        if self._latest is None or self._latest[0] is not phase:
            step = partial(self.compute, phase)
            captures = self.device.type == "cuda" and self.config.cuda_graphs
            self._latest = phase, CapturedStep(step) if captures else step
        return self._latest[1]

    def compute(self, phase: Phase, batch: Batch, turn: int) -> Batch:
        """All that a step computes; everything is on the device, and nothing is read back from it."""
        with self.objective.autocast():
            chroma, logits = self._predict(batch["condition"])
            chroma = chroma.float()
            generated = self.objective.features(batch["luma"], chroma)
            with torch.no_grad():
                real = self.objective.features(batch["luma"], batch["chroma"])
        parts = self.objective.losses(phase, batch, (chroma, logits), (generated, real), turn=turn)
        if phase.adversarial:
            self.discriminator.requires_grad_(False)
            head_logits = self.discriminator(batch["condition"], generated.levels)
            parts["adversarial"] = phase.adversarial * losses.generator_loss(head_logits)
        self._update_generator(torch.stack(list(parts.values())).sum())
        if phase.adversarial:
            parts["discriminator"] = self._train_discriminator(batch["condition"], generated, real)
        return {name: part.detach() for name, part in parts.items()}

    def _update_generator(self, loss: Tensor) -> None:
        self.generator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.generator.parameters(), self.config.clip_norm)
        self.generator_optimizer.step()
        self._update_average()

    def _train_discriminator(self, condition: Tensor, generated: Features, real: Features) -> Tensor:
        self.discriminator.requires_grad_(True)
        levels = zip(real.levels, generated.levels, strict=True)
        pairs = [torch.cat([a, b.detach()]) for a, b in levels]
        head_logits = self._discriminate(condition.repeat(2, 1, 1, 1), pairs)
        halves = [logits.chunk(2) for logits in head_logits]
        loss = losses.discriminator_loss([a for a, _ in halves], [b for _, b in halves])
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimizer.step()
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        for average, latest in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(latest, self._ema_weight)

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
        self.processes.mean([value for name, value in averaged.named_buffers() if ".running_" in name])

    @torch.no_grad()
    def interpolate_weights(self, averaged: Generator, before: Generator) -> None:
        """Move averaged weights towards those of `before`, to `weight_interpolation` of the way."""
        for average, start in zip(averaged.parameters(), before.parameters(), strict=True):
            average.lerp_(start, 1 - self.config.weight_interpolation)

    def save_state(self, run: Path) -> None:
        """Write all that `restore` needs.

        Raises:
            InputError: the training has diverged; the state written before stays.
        """
        if not all(weights.isfinite().all() for weights in self.averaged.parameters()):
            cause = f"the training diverged before crop {self.crops_done:,}: weights are not finite"
            raise InputError(run, cause, "start another run with a lower learning_rate")
        parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
        save_state(run / STATE, parts, {"crops_done": self.crops_done, "seed": self.config.seed})

    def restore(self, run: Path) -> None:
        """Continue from what `save_state` wrote.

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
        self._move_learning_rates()
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for weights, state in optimizer.state.items():
                for name, value in state.items():
                    if value.shape == weights.shape:  # fused kernels expect the layout of the weights
                        state[name] = torch.empty_like(weights).copy_(value)

    def card(self) -> ModelCard:
        """The card of the generator that this run makes."""
        shared = ("name", "version", "working_size", "training_data", "license")
        values: dict[str, Any] = {name: getattr(self.config, name) for name in shared}
        return ModelCard(architecture=self.config.generator, multiple_of=self.generator.multiple_of, **values)
