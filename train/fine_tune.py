"""Fine-tuning: a finished generator learns from a few hundred pictures of one kind, if that makes it better.

After the training its weights stand between those before and those after it: part of the way keeps most of
what was learned and forgets little of everything else (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903).
Each candidate is scored as colorful as the generator before it on the held-out pictures, because paler chroma
has a smaller error. Measured with 150 street fashion photographs, seven CPU minutes: a quarter of the way was
chosen; on 150 others of them CIEDE2000 -4.3 % at colorfulness 24.1 before and after, on 150 of the test set
-1.1 %, where colorfulness fell from 33.3 to 31.3.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from rich.console import Console

from colorcli.errors import InputError
from colorcli.evaluation.metrics import colorfulness, score
from colorcli.evaluation.pictures import Picture, central_square, find_pictures, read_picture, to_planes
from colorcli.networks.base import Generator
from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.checkpoint import load_generator, save_generator
from colorcli.train.config import Config, DataConfig, Phase
from colorcli.train.loop import split
from colorcli.train.pack import Pack
from colorcli.train.trainer import GENERATOR
from colorcli.train.validate import colorize, scale_to_colorfulness

START, TRAINED = "start.safetensors", "trained.safetensors"
"""File names in the run's folder: the generator before, and as the training left it."""
HELD_OUT = 0.2
"""Share of the pictures that is scored, not trained on."""
STEPS = (0.25, 0.5, 0.75, 1.0)
"""Parts of the way that are tried."""
MOST_FORGOTTEN = 0.01
"""Largest relative loss of CIEDE2000 on pictures of other kinds."""
CERTAIN = 2.0
"""Standard errors of the mean gain over the held-out pictures below which it may be chance."""
OTHER_PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
"""Photographs that scikit-image contains: the pictures of other kinds where none are given."""


SETTINGS = Config(
    feature_extractor="efficientnet-lite0",
    encoder_lr_scale=0.1,
    weight_decay=0.0,
    warmup=500,
    data=DataConfig(skip_toned=True),
    phases=(Phase("fine-tune", crops=6_000, learning_rate=2e-4, degrade_prob=0.2, colorfulness=0.7),),
)
"""The defaults: five minutes of a CPU core."""


def fine_tuning(source: Path, folder: Path, settings: Config) -> Config:
    """The settings of a run that starts from the generator in `source`, which is written to its folder.

    Raises:
        InputError: it is not a generator of ours in float32.
    """
    generator, card = load_generator(source)
    fold_batch_norm(generator)  # a few hundred pictures are too few for statistics of their own
    folder.mkdir(parents=True, exist_ok=True)
    save_generator(generator, card, folder / START)
    return replace(
        settings,
        name=card.name,
        version=f"{card.version}+{folder.resolve().name}",
        license=card.license,
        training_data=f"{card.training_data}; fine-tuned",
        generator=card.architecture,
        initial_weights=str(folder / START),
        working_size=card.working_size,
    )


def held_out_of(pictures: int) -> int:
    """Number of pictures to score, not to train on."""
    return max(2, round(HELD_OUT * pictures))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a fine-tuned generator gained and lost; CIEDE2000, smaller is better."""

    step: float
    """Part of the way from the weights before to those after."""
    before: NDArray[np.float64]
    """Of each held-out picture."""
    after: NDArray[np.float64]
    others_before: float
    """Mean over the pictures of other kinds."""
    others_after: float

    @property
    def gain(self) -> float:
        """Relative, on the held-out pictures."""
        return 1 - float(self.after.mean() / self.before.mean())

    @property
    def forgotten(self) -> float:
        """Relative, on pictures of other kinds; negative where they gained."""
        return self.others_after / self.others_before - 1

    @property
    def is_certain(self) -> bool:
        """Whether the gain is unlikely to be chance, which a single picture cannot show."""
        gains = self.before - self.after
        return len(gains) > 1 and bool(gains.mean() > CERTAIN * gains.std() / (len(gains) - 1) ** 0.5)

    def __str__(self) -> str:
        return (
            f"CIEDE2000 of the {len(self.before)} held-out pictures {self.before.mean():.2f} -> "
            f"{self.after.mean():.2f} ({-self.gain:+.1%}), of other kinds {self.others_before:.2f} -> "
            f"{self.others_after:.2f} ({self.forgotten:+.1%})"
        )


def conclude(config: Config, pack: Pack, folder: Path, keep: Sequence[str], console: Console) -> None:
    """Write the best generator between the start and the trained one, or none if none is better.

    Args:
        keep: folders with pictures of other kinds.

    Raises:
        InputError: none is better.
    """
    if (folder / GENERATOR).exists():  # not where an earlier run was interrupted here
        (folder / GENERATOR).replace(folder / TRAINED)
    (start, _), (trained, card) = (load_generator(folder / name) for name in (START, TRAINED))
    size, (_, held_out) = config.working_size, split(len(pack), config)
    kind = [central_square(pack[index], size) for index in held_out]
    others = [central_square(rgb, size) for rgb in _others(keep, size)]
    share = _colorfulness_share(start, kind)
    before, others_before = _scores(start, kind), _scores(start, others).mean()
    candidates = []
    for step in STEPS:
        # As colorful as before: a paler generator always has a smaller error.
        mixed = scale_to_colorfulness(interpolate(start, trained, step), kind, torch.device("cpu"), share)
        after, others_after = _scores(mixed, kind), float(_scores(mixed, others).mean())
        verdict = Verdict(step, before, after, float(others_before), others_after)
        console.print(f"{step:.0%} of the way: {verdict}", highlight=False, soft_wrap=True)
        candidates.append((verdict, mixed))
    best = choose([verdict for verdict, _ in candidates])
    console.print(f"{best.step:.0%} of the way is best", highlight=False)
    (chosen,) = (mixed for verdict, mixed in candidates if verdict is best)
    save_generator(chosen, card, folder / GENERATOR)


def choose(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that gained most of those that forgot little.

    Raises:
        InputError: none gained anything for certain.
    """
    faithful = [verdict for verdict in verdicts if verdict.forgotten <= MOST_FORGOTTEN]
    best = max(faithful or verdicts, key=lambda verdict: verdict.gain)
    if not faithful:
        cause = f"worse on other kinds, so no model was written ({best})"
        raise InputError("fine-tuning", cause, "give more pictures, or --keep FOLDER with your other kinds")
    if not best.is_certain:
        cause = f"no better than before, so no model was written ({best})"
        raise InputError("fine-tuning", cause, "give more pictures, or of a kind that it colors worse")
    return best


def interpolate(start: Generator, trained: Generator, step: float) -> Generator:
    """A generator whose weights stand at `step` of the way from `start` to `trained`."""
    mixed = copy.deepcopy(start)
    weights = mixed.state_dict()
    with torch.no_grad():
        for name, value in trained.state_dict().items():
            if value.is_floating_point():
                weights[name].lerp_(value, step)
    return mixed


def _others(keep: Sequence[str], size: int) -> list[Picture]:
    """Pictures of other kinds.

    Raises:
        InputError: there are none in the folders.
    """
    contained = [Path(skimage.__file__).parent / "data" / name for name in OTHER_PICTURES]
    files = find_pictures(keep) if keep else contained
    pictures = [picture for file in files if (picture := read_picture(file, size)) is not None]
    if not pictures:
        raise InputError(", ".join(keep), "no readable pictures in it", "give folders of color pictures")
    return pictures


def _colorfulness_share(generator: Generator, pictures: Sequence[Picture]) -> float:
    """Mean colorfulness of the colorized pictures, relative to the originals'."""
    colorized = [_colorized(generator, real) for real in pictures]
    return float(np.mean(list(map(colorfulness, colorized))) / np.mean(list(map(colorfulness, pictures))))


def _scores(generator: Generator, pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """CIEDE2000 of each picture."""
    return np.array([score(real, _colorized(generator, real)).ciede2000 for real in pictures])


def _colorized(generator: Generator, real: Picture) -> Picture:
    return colorize(generator, to_planes(real)[0], torch.device("cpu"))
