"""What a model is given for real pictures: the inputs on which an int8 export measures its ranges."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from colorcli import engines
from colorcli.color.simulated_hints import simulate_hints
from colorcli.color.ycbcr import ycbcr_from_rgb
from colorcli.engines.base import Engine, Tensors
from colorcli.evaluation.pictures import central_square, read_picture
from colorcli.models.registry import adapt

CALIBRATION_PICTURES = 128
"""More pictures do not change the ranges."""
SEED = 123


def calibration_inputs(model: Path, kind: str, files: Sequence[Path]) -> Iterator[Tensors]:
    """The tensors that a model of this kind gets for some of the pictures, hints simulated as in training."""
    rng = np.random.default_rng(SEED)
    with engines.open(model, "cpu") as engine:
        recorder = _Recorder(engine)
        adapter = adapt(recorder, model, kind)
        size = adapter.card.working_size
        for index in rng.permutation(len(files))[:CALIBRATION_PICTURES]:
            rgb = read_picture(files[index], size)
            if rgb is not None:
                luma, chroma = ycbcr_from_rgb(central_square(rgb, size).transpose(2, 0, 1) / np.float32(255))
                adapter.predict([luma], [simulate_hints(chroma, rng)])
                yield recorder.latest


class _Recorder(Engine):
    """An engine that keeps what it was given last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.metadata, self.device = engine.metadata, engine.device
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.latest: Tensors = {}

    def run(self, tensors: Tensors) -> "dict[str, np.ndarray]":
        self.latest = dict(tensors)
        return self._engine.run(tensors)
