"""What a run consists of, one training step, and how it is kept."""

import copy
import math
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from colorcli.errors import UsageError
from colorcli.networks.card import ModelCard
from colorcli.networks.checkpoint import save_generator
from colorcli.networks.color_bins import classification_loss
from colorcli.networks.generators import GENERATORS
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.train import efficientnet, losses
from colorcli.train.auxiliary_extractors import AuxiliaryExtractors
from colorcli.train.config import Config, Phase
from colorcli.train.discriminators import FeatureDiscriminator, PatchDiscriminator
from colorcli.train.features import FeatureExtractor, Features
from colorcli.train.muon import Muon
from colorcli.train.ranks import Ranks
from colorcli.train.squeezenet import SqueezeNet
from colorcli.train.state import load_state, random_state, restore_random_state, save_state

Batch = dict[str, Tensor]


def load_feature_extractor(config: Config) -> FeatureExtractor | None:
    """What `perceptual_weights` asks for.

    Raises:
        SetupError: its weights are missing, or are others.
        UsageError: `recognition` is asked of an feature_extractor that recognizes nothing.
    """
    if config.perceptual_weights in efficientnet.WEIGHTS:
        return efficientnet.EfficientNet(config.perceptual_weights)
    if config.recognition:
        cause = f"{config.perceptual_weights or 'no feature_extractor'} recognizes nothing"
        raise UsageError("recognition", cause, 'set perceptual_weights = "efficientnet-lite0"')
    return SqueezeNet(Path(config.perceptual_weights)) if config.perceptual_weights else None


def learning_rate(phase: Phase, done: int, warmup: int) -> float:
    """Rate after `done` of the phase's pictures: a linear rise, then half a cosine down to a fiftieth."""
    rise = min(1.0, (done + phase.batch) / warmup) if warmup else 1.0
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done / phase.pictures)))
    return phase.learning_rate * rise * fall


class Trainer:
    """All that a run consists of; `state.safetensors` holds it whole."""

    def __init__(self, config: Config, device: torch.device, ranks: Ranks) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.ranks, self.seen = config, device, ranks, 0
        self.generator = GENERATORS[config.generator]().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.encoder_weights and isinstance(self.generator, MobileUNet):
            self.generator.encoder.load_imagenet(Path(config.encoder_weights))
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.feature_extractor = load_feature_extractor(config)
        self.auxiliary_extractors = AuxiliaryExtractors() if config.second_opinion else None
        self.discriminator = (
            FeatureDiscriminator(self.feature_extractor.channels)
            if self.feature_extractor
            else PatchDiscriminator()
        )
        for network in (self.feature_extractor, self.auxiliary_extractors, self.discriminator):
            if network is not None:
                network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_steps = self._optimizer()
        self.discriminator_steps = torch.optim.Adam(
            self.discriminator.parameters(), config.discriminator_rate, betas=(0.5, 0.999)
        )

    def _optimizer(self) -> torch.optim.AdamW:
        groups, betas, decay = self._parameter_groups(), (0.9, 0.99), self.config.weight_decay
        if self.config.muon:
            return Muon(groups, self.ranks, betas=betas, weight_decay=decay)
        return torch.optim.AdamW(groups, betas=betas, weight_decay=decay)

    def _parameter_groups(self) -> list[dict[str, object]]:
        encoder = getattr(self.generator, "encoder", None)
        known = set(encoder.parameters()) if encoder is not None and self.config.encoder_weights else set()
        return [
            {"params": [p for p in self.generator.parameters() if p not in known], "share": 1.0},
            {
                "params": [p for p in self.generator.parameters() if p in known],
                "share": self.config.encoder_rate,
            },
        ]

    def step(self, phase: Phase, done: int, batch: Batch) -> dict[str, float]:
        """One batch; returns the losses."""
        for group in self.generator_steps.param_groups:
            group["lr"] = group["share"] * learning_rate(phase, done, self.config.warmup)
        with self._in_half():
            made, logits = self.generator.predict(batch["condition"])
            made = made.float()
            seen = self._seen(batch, made)
            with torch.no_grad():
                truth = self._seen(batch, batch["chroma"])
        parts = self._generator_losses(phase, batch, (made, logits), seen, truth)
        self.generator_steps.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        self.ranks.average(self.generator.parameters())
        nn.utils.clip_grad_norm_(self.generator.parameters(), self.config.clip_norm)
        self.generator_steps.step()
        self._average()
        if phase.adversarial:
            parts["discriminator"] = self._train_discriminator(
                batch["condition"], [s.detach() for s in seen.features], truth.features
            )
        self.seen += phase.batch
        return {name: float(part.detach()) for name, part in parts.items()}

    def _in_half(self) -> torch.autocast:
        """bfloat16 for what the networks compute on a GPU; losses, weights and steps stay in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def _seen(self, batch: Batch, chroma: Tensor) -> Features:
        """What the feature_extractor sees of the whole picture, or without one chroma."""
        if self.feature_extractor is None:
            return Features([chroma])
        return self.feature_extractor(losses.rgb_from_ycbcr(batch["luma"], chroma))

    def _generator_losses(
        self,
        phase: Phase,
        batch: Batch,
        guess: tuple[Tensor, Tensor | None],
        seen: Features,
        truth: Features,
    ) -> dict[str, Tensor]:
        """The weighted parts of the generator's loss."""
        config, real, (made, logits) = self.config, batch["chroma"], guess
        parts = {"reconstruction": config.reconstruction * losses.reconstruction_loss(made, real)}
        if logits is not None:
            parts["classification"] = config.classification * classification_loss(logits, real)
        if self.feature_extractor is not None:
            parts["perceptual"] = config.perceptual * losses.perceptual_loss(seen.taps, truth.taps)
        if config.recognition:
            parts["recognition"] = config.recognition * losses.recognition_loss(seen, truth)
        if self.auxiliary_extractors is not None:
            parts["second_opinion"] = config.second_opinion * self._second_opinion(phase, batch, made)
        if phase.colorful:
            parts["colorful"] = phase.colorful * losses.colorfulness_loss(batch["luma"], made, real)
        if phase.adversarial:
            self.discriminator.requires_grad_(False)
            verdict = self.discriminator(batch["condition"], seen.features)
            parts["adversarial"] = phase.adversarial * losses.generator_loss(verdict)
        return parts

    def _second_opinion(self, phase: Phase, batch: Batch, made: Tensor) -> Tensor:
        assert self.auxiliary_extractors is not None
        config, step, rank = self.config, self.seen // phase.batch, self.ranks.rank
        pictures = [losses.rgb_from_ycbcr(batch["luma"], chroma) for chroma in (made, batch["chroma"])]
        with self._in_half():
            seen, truth = self.auxiliary_extractors(
                *pictures, turn=step + rank, seed=(config.seed, step, rank)
            )
        perceptual = losses.perceptual_loss(seen.taps, truth.taps)
        return config.perceptual * perceptual + config.recognition * losses.recognition_loss(seen, truth)

    def _train_discriminator(self, condition: Tensor, seen: list[Tensor], truth: list[Tensor]) -> Tensor:
        self.discriminator.requires_grad_(True)
        pairs = [torch.cat(both) for both in zip(truth, seen, strict=True)]
        verdicts = [head.chunk(2) for head in self.discriminator(condition.repeat(2, 1, 1, 1), pairs)]
        loss = losses.discriminator_loss([real for real, _ in verdicts], [made for _, made in verdicts])
        self.discriminator_steps.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.average(self.discriminator.parameters())
        self.discriminator_steps.step()
        return loss

    @torch.no_grad()
    def _average(self) -> None:
        # A young average would drag along its random start: the decay grows to its final value.
        step = self.seen / self.config.phases[0].batch
        decay = min(self.config.ema, (1 + step) / (10 + step))
        for slow, fast in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)

    def recompute_batchnorm(self, conditions: Iterable[Tensor]) -> None:
        """Take batch norm's statistics anew for the averaged weights, over batches of conditions.

        Statistics belong to the weights they were taken with: neither the latest nor their average will do
        (Izmailov et al. 2018, section 3.2).
        """
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # dropout draws: how often this is done must not matter
            update_bn(conditions, self.averaged)

    @torch.no_grad()
    def blend(self, before: nn.Module) -> None:
        """Move the averaged weights back towards those of `before`, as far as the configuration says."""
        for now, then in zip(self.averaged.parameters(), before.parameters(), strict=True):
            now.lerp_(then, 1 - self.config.blend)

    def save(self, run: Path) -> None:
        save_state(
            run / "state.safetensors",
            {
                "generator": self.generator.state_dict(),
                "averaged": self.averaged.state_dict(),
                "discriminator": self.discriminator.state_dict(),
                "generator_steps": self.generator_steps.state_dict(),
                "discriminator_steps": self.discriminator_steps.state_dict(),
                "random": random_state(),
            },
            {"seen": self.seen, "seed": self.config.seed},
        )
        save_generator(self.averaged, self.card(), run / "generator.safetensors")

    def restore(self, run: Path) -> None:
        parts, facts = load_state(run / "state.safetensors")
        self.generator.load_state_dict(parts["generator"])
        self.averaged.load_state_dict(parts["averaged"])
        self.discriminator.load_state_dict(parts["discriminator"])
        self.generator_steps.load_state_dict(parts["generator_steps"])
        self.discriminator_steps.load_state_dict(parts["discriminator_steps"])
        restore_random_state(parts["random"])
        self.seen = facts["seen"]

    def card(self) -> ModelCard:
        config = self.config
        return ModelCard(
            name=config.name,
            version=config.version,
            architecture=config.generator,
            working_size=config.working_size,
            multiple_of=self.generator.multiple_of,
            training_data=config.training_data,
            license=config.license,
        )
