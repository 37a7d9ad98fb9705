"""Settings of a training run, each default with its reason; read from TOML and kept beside the weights."""

import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any

from colorcli.errors import UsageError

RECIPE = Path(__file__).with_name("default.toml")
"""Of the generator in the package."""
LEAST = {
    "short_side": 32, "crops": 1, "size": 1, "batch": 2, "held_out": 1, "checkpoint_every": 1,
    "validate_every": 1, "states_every": 1, "mean_of_states": 1, "statistics_size": 1, "working_size": 1,
}  # fmt: skip
"""Smallest value of a setting; of the others it is 0. Batch norm needs two crops."""
AT_MOST_ONE = frozenset(("degrade_prob", "ema_decay", "weight_interpolation"))


@dataclass(frozen=True)
class DataConfig:
    short_side: int = 256
    """Short side, in pixels, at which pictures are packed: the generator's working size."""
    min_colorfulness: float = 12.0
    """Pictures below this are left out: they teach brown (BigColor drops a tenth, those below 15)."""
    skip_toned: bool = False
    """Leave out toned and tinted pictures, too: their color says nothing about what they show."""


@dataclass(frozen=True)
class Phase:
    """A part of the run with a learning-rate schedule of its own: linear warmup, then half a cosine."""

    name: str
    crops: int
    """Length, in crops."""
    size: int = 128
    """Side of the crops in pixels: small crops are fast, large ones show whole objects."""
    degrade_prob: float = 0.6
    """Share of the crops degraded like old film and prints; the others look like good scans."""
    batch: int = 16
    """Small enough for many steps on a CPU, large enough for batch norm."""
    learning_rate: float = 1e-3
    """Peak rate of the decoder; high, because most of the decoder starts from random weights."""
    adversarial: float = 0.0
    """Weight of the adversarial loss; 0: no discriminator. At 3 it pulls about as hard as `perceptual`."""
    colorfulness: float = 0.0
    """Weight of the loss for missing colorfulness (DDColor, Kang et al. 2023, has a similar loss)."""

    @property
    def length(self) -> int:
        """Crops in whole batches."""
        return self.crops // self.batch * self.batch


@dataclass(frozen=True)
class Config:
    name: str = "colorcli"
    """Name in the model card."""
    version: str = "1"
    license: str = "MIT"
    training_data: str = ""
    """Description of the pictures in the model card."""
    seed: int = 123
    """As in Shariatnia's pix2pix tutorial."""
    generator: str = "mobile_unet"
    """Key of `networks.generators.GENERATORS`; `pix2pix_unet` is the classic U-Net."""
    initial_weights: str = ""
    """File of a generator to train on (`--from`). Empty: random weights, and `encoder_weights`."""
    encoder_weights: str = ""
    """ImageNet weights for the encoder, the largest gain known: `mobilenet_v2` downloads torchvision's; or a
    file. Empty: random weights."""
    feature_extractor: str = ""
    """Frozen network of the perceptual loss and the discriminator: `efficientnet-lite0` (1, 2), a package, or
    a file of SqueezeNet weights. Empty: no perceptual loss, and a PatchGAN from scratch."""
    reconstruction: float = 10.0
    """Weight of smooth L1 on chroma; its value is about a tenth of the perceptual distance's."""
    classification: float = 1.0
    """Weight of the cross-entropy over the color bins: it teaches the network what things are."""
    perceptual: float = 5.0
    """Weight of the perceptual distance: this loss, not L1, brings the colors (docs/experiments.md)."""
    recognition: float = 0.0
    """Weight of the difference in what the feature extractor recognizes; only for EfficientNets."""
    auxiliary: float = 0.0
    """Weight of the same two losses by two more EfficientNets, on random views of half of each batch: of what
    one feature extractor teaches, only half holds for others."""
    encoder_lr_scale: float = 0.05
    """Learning rate of a pretrained encoder relative to the decoder's: it has no normalization of its own,
    and its deepest layers die at a few times this."""
    muon: bool = False
    """Muon instead of AdamW for the generator's convolutions: more learned from each crop, at a tenth of the
    step time of a small network, but at far more of that of a network with `pix2pix_unet`'s matrices."""
    discriminator_learning_rate: float = 1e-3
    """Adam's rate for the discriminator: only light heads on frozen features are trained."""
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    """Longest gradient; longer ones are scaled down, so that one unusual batch cannot undo a thousand."""
    ema_decay: float = 0.999
    """Decay of the averaged weights, which are the ones exported."""
    warmup: int = 2_000
    """Crops over which the learning rate of a phase rises."""
    weight_interpolation: float = 1.0
    """Position of the finished weights between those before the adversarial phases (0) and those after (1): a
    better trade-off than either end without a colorfulness loss (ESRGAN, Wang et al. 2018, section 3.4)."""
    mean_of_states: int = 1
    """Number of states of the run whose mean is the finished generator: what each remembers cancels, what all
    know stays (model soups, Wortsman et al. 2022). They are the averaged weights at the end and before it."""
    states_every: int = 70_000
    """Crops between these states."""
    statistics_size: int = 192
    """Side in pixels of the plain crops over which batch-norm statistics of averaged weights are recomputed;
    they matter about as much as the weights (docs/experiments.md)."""
    target_colorfulness: float = 0.0
    """Colorfulness of the finished generator on the held-out pictures relative to the originals; 0: as is.
    A network that minimizes a mean error is paler than the truth; scaling its last layers makes up for it."""
    working_size: int = 256
    """Short side in pixels at which the exported generator works."""
    checkpoint_every: int = 8_000
    """Crops between checkpoints: the most that a crash can cost."""
    validate_every: int = 16_000
    """Crops between validations, each with a sample sheet."""
    held_out: int = 96
    """Number of pictures held out for validation, chosen by the seed; half of all at most."""
    cuda_graphs: bool = True
    """On a GPU, capture each phase's step and replay it; false: launch its kernels one by one."""
    workers: int = 1
    """Processes that prepare crops: on a CPU some 300 a second each; a GPU makes the pixels itself."""
    data: DataConfig = field(default_factory=DataConfig)
    phases: tuple[Phase, ...] = (
        Phase("reconstruct", crops=400_000),
        Phase("adversarial", crops=40_000, size=160, learning_rate=2e-4, adversarial=1.0),
    )
    """First the generator alone, then a short adversarial phase (NoGAN: DeOldify)."""

    @property
    def length(self) -> int:
        """Length of the whole run, in crops."""
        return sum(phase.length for phase in self.phases)

    def is_mean_due(self, before: int, after: int) -> bool:
        """Whether one of the states for the mean lies between two numbers of crops."""
        states = (self.length - number * self.states_every for number in range(self.mean_of_states))
        return any(before < state <= after for state in states)


def load_config(path: Path) -> Config:
    """Read a TOML file, or `default` in the package; settings that it does not name keep their defaults.

    Raises:
        UsageError: the file cannot be read, names an unknown setting, or gives one a value of another type
            or out of range.
    """
    try:
        values = tomllib.loads((RECIPE if path == Path("default") else path).read_text())
        if "phases" in values:
            values["phases"] = _build_phases(values["phases"])
        if "data" in values:
            values["data"] = _build(DataConfig, values["data"])
        return _build(Config, values)
    except OSError as error:
        remedy = "check the name; `colorcli train --print-config` writes such a file"
        raise UsageError(path, f"cannot be read ({error.strerror})", remedy) from error
    except (ValueError, TypeError) as error:
        remedy = "`colorcli train --print-config` writes every setting, with its default"
        raise UsageError(path, f"not a training configuration ({error})", remedy) from error


def _build_phases(tables: Any) -> tuple[Phase, ...]:
    if not isinstance(tables, list) or not tables:
        raise TypeError("phases must be tables, each headed [[phases]]")
    phases = tuple(_build(Phase, table) for table in tables)
    if short := [phase.name for phase in phases if not phase.length]:
        raise ValueError(f"phase {short[0]} has fewer crops than one batch")
    return phases


def _build(kind: type[Any], values: Any) -> Any:
    if not isinstance(values, dict):
        raise TypeError(f"{values!r} stands where settings of {kind.__name__} are due")
    known = {setting.name: setting.type for setting in fields(kind)}
    for name, value in values.items():
        expected = known.get(name)
        if expected is None:
            near = get_close_matches(name, known, 1)
            raise TypeError(f"unknown setting {name}" + (f"; did you mean {near[0]}?" if near else ""))
        values[name] = _checked(name, value, expected)
    required = [each.name for each in fields(kind) if each.default is each.default_factory is MISSING]
    if missing := [name for name in required if name not in values]:
        raise TypeError(f"a {kind.__name__.lower()} lacks {', '.join(missing)}")
    return kind(**values)


def _checked(name: str, value: Any, expected: Any) -> Any:
    """The value of a setting, as the type that the setting has."""
    if expected is float and type(value) is int:
        value = float(value)
    if isinstance(expected, type) and type(value) is not expected:
        raise TypeError(f"{name} must be of type {expected.__name__}, not {value!r}")
    if expected in (int, float):
        least, most = LEAST.get(name, 0), 1 if name in AT_MOST_ONE else inf
        if not least <= value <= most or value == inf:
            limits = f"from {least} to {most}" if most == 1 else f"{least} or more"
            raise ValueError(f"{name} must be {limits}, not {value}")
    return value


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
