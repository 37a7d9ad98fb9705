"""The generators that `train` makes: one tensor `condition` [N, 4, H, W] in, one tensor `chroma` out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from colorcli.color.condition import CHANNELS, Hints, condition
from colorcli.color.ycbcr import Plane
from colorcli.engines import Engine
from colorcli.models.adapter import ModelAdapter
from colorcli.networks.card import CARD_KEY, ModelCard


class NativeModel(ModelAdapter):
    """A generator with a model card; it works in BT.601 Y'CbCr and takes hints in its condition."""

    kind = "colorcli"
    takes_hints = True

    def __init__(self, engine: Engine, path: Path) -> None:
        super().__init__(engine, path)
        self.card = ModelCard.from_metadata(engine.metadata)
        self._dtype = engine.inputs[0].dtype

    @classmethod
    def matches(cls, engine: Engine) -> bool:
        tensors = [(spec.name, spec.shape[1:2]) for spec in (*engine.inputs, *engine.outputs)]
        return CARD_KEY in engine.metadata and tensors == [("condition", (CHANNELS,)), ("chroma", (2,))]

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        batch = np.stack([condition(*pair) for pair in zip(lumas, hints, strict=True)])
        height, width = batch.shape[2:]
        multiple = self.card.multiple_of
        pad = ((0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple))
        padded = np.pad(batch, pad, mode="edge").astype(self._dtype, copy=False)
        chroma = self._engine.run({"condition": padded})["chroma"][:, :, :height, :width]
        return list(np.clip(chroma.astype(np.float32, copy=False), -0.5, 0.5))
