"""The interface of every model adapter; `tests/models/test_contract.py` runs over all of them.

An engine moves named tensors. An adapter knows what a family of models expects in them: color space, value
range, padding, number types, and hints, if the family takes any.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.engines import Engine
from colorcli.networks.card import ModelCard


class ModelAdapter(ABC):
    """A model that predicts chroma from luma. A context manager; it closes its engine."""

    kind: ClassVar[str]
    """As `--model-kind` spells it."""
    card: ModelCard
    takes_hints: bool
    """Whether the network itself takes hints; where it does not, `predict` ignores them."""
    fixed_size: tuple[int, int] | None = None
    """Height and width to which every picture is stretched; None if the network takes any size."""

    def __init__(self, engine: Engine, path: Path) -> None:
        """Adapt the model in an engine that it `matches`, opened from `path`.

        Raises:
            ValueError: the metadata that describes the model is incomplete.
        """
        self._engine = engine
        self.device = engine.device

    @classmethod
    @abstractmethod
    def matches(cls, engine: Engine) -> bool:
        """Whether a model can be of this kind, by its metadata and its tensors' names, shapes and types."""

    @abstractmethod
    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        """Predict the chroma of a batch of pictures.

        Args:
            lumas: [h, w] in [0, 1] each, all of one shape; any h and w.
            hints: one entry for each luma, of its shape.

        Returns:
            BT.601 chroma [2, h, w] in [-0.5, 0.5] for each luma.
        """

    def take_note(self) -> str:
        """What the user should know about the engine since the last call; empty if nothing."""
        return self._engine.take_note()

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
