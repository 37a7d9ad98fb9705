"""Several models as one: the weighted mean of their chroma."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.engines import Engine
from colorcli.errors import UsageError
from colorcli.models.adapter import ModelAdapter
from colorcli.options import model_path


class BlendedModel(ModelAdapter):
    """Models that predict side by side; each sees the same picture and hints."""

    kind = "blend"

    def __init__(self, models: Sequence[ModelAdapter], weights: Sequence[float]) -> None:
        """Blend at least two models; the blend closes them. The weights sum to 1."""
        self._models, self._weights = tuple(models), np.array(weights, np.float32)
        self.device = ", ".join(dict.fromkeys(model.device for model in models))
        self.takes_hints = any(model.takes_hints for model in models)
        self.fixed_size = models[0].fixed_size if all(model.fixed_size for model in models) else None
        cards = [model.card for model in models]
        pairs = list(zip(cards, weights, strict=True))
        named = [f"{card.name} {card.version}:{weight:g}" for card, weight in pairs]
        identity = repr([(card.digest, weight) for card, weight in pairs])
        self.card = replace(
            cards[0],
            name="blend",
            version=" + ".join(named),
            architecture="blend",
            working_size=max(card.working_size for card in cards),
            digest=hashlib.sha256(identity.encode()).hexdigest(),
            precision=", ".join(dict.fromkeys(card.precision for card in cards)),
            training_data="",
            license="; ".join(dict.fromkeys(card.license for card in cards if card.license)),
        )

    @classmethod
    def matches(cls, engine: Engine) -> bool:
        return False

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        predictions = [model.predict(lumas, hints) for model in self._models]
        return [np.tensordot(self._weights, np.stack(chroma), 1) for chroma in zip(*predictions, strict=True)]

    def take_note(self) -> str:
        return "; ".join(filter(None, [model.take_note() for model in self._models]))

    def close(self) -> None:
        for model in self._models:
            model.close()


def parse_weights(files: Path | Sequence[Path]) -> tuple[list[Path], list[float]]:
    """Split `FILE:WEIGHT` of one model or several; files without a weight share what the others leave of 1.

    `default` is the built-in model.

    Raises:
        UsageError: the weights do not sum to 1, or leave nothing for a file without one.
    """
    files = [files] if isinstance(files, str | Path) else files
    split = [_split(Path(file)) for file in files]
    given = [weight for _, weight in split if weight is not None]
    open_ones = len(split) - len(given)
    rest = 1 - sum(given)
    weights = f"weights {', '.join(f'{weight:g}' for weight in given)}"
    cause = ""
    if min(given, default=1) <= 0:
        cause = f"{weights} are not all above 0"
    elif open_ones and rest <= 0:
        cause = f"{weights} leave no share for the other files"
    elif not open_ones and abs(rest) > 1e-6:
        cause = f"{weights} do not sum to 1"
    if cause:
        raise UsageError("--model", cause, "give shares of 1, such as --model A --model B:0.4")
    shares = [rest / open_ones if weight is None else weight for _, weight in split]
    return [model_path(path) for path, _ in split], shares


def _split(file: Path) -> tuple[Path, float | None]:
    name, colon, weight = str(file).rpartition(":")
    try:
        return (file, None) if not colon or file.exists() else (Path(name), float(weight))
    except ValueError:
        return file, None
