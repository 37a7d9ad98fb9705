"""The generator's objective: a weighted sum of losses, through frozen feature extractors where asked.

The adversarial loss is added by the trainer, which owns the discriminator.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from colorcli.errors import UsageError
from colorcli.networks.color_bins import classification_loss
from colorcli.train import efficientnet, losses
from colorcli.train.auxiliary_extractors import AuxiliaryExtractors
from colorcli.train.config import Config, Phase
from colorcli.train.features import FeatureExtractor, Features
from colorcli.train.render import Batch
from colorcli.train.squeezenet import SqueezeNet
from colorcli.train.tensors import rgb_from_ycbcr


def load_feature_extractor(config: Config) -> FeatureExtractor | None:
    """The network that `config.feature_extractor` names; None where it names none.

    Raises:
        SetupError: the weights are missing or belong to another network.
        UsageError: `recognition` is used with an extractor that has no classifier.
    """
    if config.feature_extractor in efficientnet.WEIGHTS:
        return efficientnet.EfficientNet(config.feature_extractor)
    if config.recognition:
        cause = f"{config.feature_extractor or 'an empty feature_extractor'} recognizes nothing"
        raise UsageError("recognition", cause, 'set feature_extractor = "efficientnet-lite0"')
    return SqueezeNet(Path(config.feature_extractor)) if config.feature_extractor else None


class Objective(nn.Module):
    """The generator's losses and the feature extractors that they need."""

    def __init__(self, config: Config, device: torch.device) -> None:
        super().__init__()
        self.config, self.device = config, device
        self.extractor = load_feature_extractor(config)
        self.auxiliary = AuxiliaryExtractors() if config.auxiliary else None

    def autocast(self) -> torch.autocast:
        """bfloat16 for what networks compute on a GPU; losses, weights and optimizer stay in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def features(self, luma: Tensor, chroma: Tensor) -> Features:
        """Features of the picture that luma and chroma make; without an extractor, chroma itself."""
        if self.extractor is None:
            return Features([chroma])
        features: Features = self.extractor(rgb_from_ycbcr(luma, chroma))
        return features

    def losses(
        self,
        phase: Phase,
        batch: Batch,
        prediction: tuple[Tensor, Tensor | None],
        features: tuple[Features, Features],
        *,
        turn: int,
    ) -> dict[str, Tensor]:
        """The weighted losses by name, of the generator's chroma and logits.

        `features` are those of generated and real pictures; `turn` goes to the auxiliary extractors.
        """
        config, real, (chroma, logits) = self.config, batch["chroma"], prediction
        parts = {"reconstruction": config.reconstruction * losses.reconstruction_loss(chroma, real)}
        if logits is not None:
            parts["classification"] = config.classification * classification_loss(logits, real)
        if self.extractor is not None:
            distance = losses.perceptual_loss(*(each.maps for each in features))
            parts["perceptual"] = config.perceptual * distance
        if config.recognition:
            parts["recognition"] = config.recognition * losses.recognition_loss(*features)
        if self.auxiliary is not None:
            parts["auxiliary"] = config.auxiliary * self._auxiliary_loss(batch, chroma, turn)
        if phase.colorfulness:
            shortfall = losses.colorfulness_loss(batch["luma"], chroma, real)
            parts["colorfulness_loss"] = phase.colorfulness * shortfall
        return parts

    def _auxiliary_loss(self, batch: Batch, chroma: Tensor, turn: int) -> Tensor:
        """The perceptual and recognition losses once more, by another network."""
        assert self.auxiliary is not None
        pictures = [rgb_from_ycbcr(batch["luma"], each) for each in (chroma, batch["chroma"])]
        with self.autocast():
            generated, real = self.auxiliary(*pictures, turn=turn, view=batch["view"])
        perceptual = losses.perceptual_loss(generated.maps, real.maps)
        recognition = losses.recognition_loss(generated, real)
        return self.config.perceptual * perceptual + self.config.recognition * recognition
