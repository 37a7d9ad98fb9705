"""A training run as frozen values; every default with its reason. Read from TOML, kept beside the weights."""

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from colorcli.errors import UsageError


@dataclass(frozen=True)
class DataConfig:
    short_side: int = 256
    """Pictures are packed at this short side: what the network sees when it runs."""
    least_colorfulness: float = 12.0
    """Duller pictures are left out: they teach brown (BigColor drops a tenth, below 15)."""


@dataclass(frozen=True)
class Phase:
    """A stretch of the run; the learning rate starts warm and falls along half a cosine."""

    name: str
    pictures: int
    """Length, in crops seen."""
    size: int = 128
    """Side of the crops: small is fast, large shows the network whole things."""
    degrade_prob: float = 0.6
    """Share of pictures shown as old film and prints are; the others are good scans and modern pictures."""
    batch: int = 16
    """Small enough for many steps on a CPU, large enough for batch norm."""
    learning_rate: float = 1e-3
    """Adam's, for the decoder; high, as most of it starts from nothing."""
    adversarial: float = 0.0
    """Weight of the discriminator's verdict; 0 is none, 3 pulls about as hard as the perceptual distance."""
    colorful: float = 0.0
    """Weight of what the crops lack in colorfulness (DDColor, Kang et al. 2023, has such a loss)."""


@dataclass(frozen=True)
class Config:
    name: str = "colorcli"
    """Name in the model card."""
    version: str = "1"
    license: str = "MIT"
    training_data: str = ""
    """What the card says of the pictures."""
    seed: int = 123
    """The original recipe's."""
    generator: str = "mobile_unet"
    """Key of `networks.GENERATORS`; `pix2pix_unet` is the classic."""
    encoder_weights: str = ""
    """ImageNet weights for the encoder: the largest gain known. Empty starts from noise."""
    perceptual_weights: str = ""
    """What the perceptual loss and the discriminator look with: a file of SqueezeNet's weights, or
    `efficientnet-lite0` (1, 2), which comes as a package. Empty leaves the loss out."""
    reconstruction: float = 10.0
    """Weight of smooth L1 on chroma, whose size is about a tenth of the perceptual distance's."""
    perceptual: float = 5.0
    """Weight of the perceptual distance: it, not L1, brings the colors (train/README.md)."""
    recognition: float = 0.0
    """Weight of what is recognized in the picture; for an feature_extractor that recognizes things."""
    second_opinion: float = 0.0
    """Weight of the same two losses through the eyes of two other EfficientNets, on parts of half the
    pictures: of what one feature_extractor alone teaches, only half holds for another (train/README.md)."""
    classification: float = 1.0
    """Weight of the choice among colors: what teaches the network what things are."""
    encoder_rate: float = 0.05
    """The encoder's share of the learning rate: it already knows what things are, and with no normalization
    of its own its deepest layers die at a few times this."""
    muon: bool = False
    """Muon's steps for the generator's convolutions instead of AdamW's: more learned from each picture, for a
    tenth of the time of a small network, but far more than that of one with `pix2pix_unet`'s matrices."""
    discriminator_rate: float = 1e-3
    """Adam's for the discriminator: only light heads on known features are to learn."""
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    """Gradients longer than this are shortened: one odd batch must not undo a thousand."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones exported."""
    warmup: int = 2_000
    """Pictures over which a phase's learning rate rises."""
    blend: float = 1.0
    """Share of the way from the weights before the adversarial phases to those after them that is kept.

    Between the two lies a better bargain of right and colorful than at either end, or than in a stronger
    last layer (network interpolation: ESRGAN, Wang et al. 2018, section 3.4).
    """
    colorfulness: float = 0.0
    """Share of the originals' colorfulness that the finished generator reaches on the held-out pictures.

    Whatever minimizes an average is paler than the truth; its last layer is scaled to make up. 0 leaves it.
    """
    working_size: int = 256
    """Short side at which the exported model works."""
    checkpoint_every: int = 8_000
    """Pictures between checkpoints: what a crash can cost."""
    validate_every: int = 16_000
    """Pictures between validations, each with a sample sheet."""
    validation: int = 96
    """Pictures held out, by seed."""
    workers: int = 1
    """Processes that cut and degrade crops, some 250 a second each: a GPU wants several."""
    data: DataConfig = field(default_factory=DataConfig)
    phases: tuple[Phase, ...] = (
        Phase("reconstruct", pictures=400_000),
        Phase("adversarial", pictures=40_000, size=160, learning_rate=2e-4, adversarial=1.0),
    )
    """Generator alone, then a short late adversarial stretch (NoGAN: DeOldify)."""

    @property
    def pictures(self) -> int:
        return sum(phase.pictures for phase in self.phases)


def load_config(path: Path) -> Config:
    """Read a TOML file; what it leaves out keeps its default.

    Raises:
        UsageError: unreadable, or a key or value that means nothing here.
    """
    try:
        values = tomllib.loads(path.read_text())
        if "phases" in values:
            values["phases"] = tuple(_build(Phase, phase) for phase in values["phases"])
        if "data" in values:
            values["data"] = _build(DataConfig, values["data"])
        return _build(Config, values)
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise UsageError(path, f"no training configuration ({error})", "see train/README.md") from error


def _build(kind: type[Any], values: dict[str, Any]) -> Any:
    for known in fields(kind):
        value = values.get(known.name)
        if isinstance(value, int) and known.type is float:
            values[known.name] = float(value)
        elif value is not None and isinstance(known.type, type) and not isinstance(value, known.type):
            raise TypeError(f"{known.name} must be of type {known.type.__name__}, not {value!r}")
    return kind(**values)


def to_toml(config: Any) -> str:
    """The configuration as TOML that `load_config` reads back."""
    lines, tables = [], []
    for known in fields(config):
        value = getattr(config, known.name)
        if isinstance(value, tuple):
            tables += [f"\n[[{known.name}]]\n{to_toml(item)}" for item in value]
        elif is_dataclass(value):
            tables.append(f"\n[{known.name}]\n{to_toml(value)}")
        else:
            lines.append(f"{known.name} = {_toml_value(value)}\n")
    return "".join([*lines, *tables])


def _toml_value(value: str | float) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)
