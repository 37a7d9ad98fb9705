"""What all adapters of other projects' models share: tensor layouts, sizes, and a card for the file."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.engines import Engine, TensorSpec
from colorcli.engines.digest import file_digest
from colorcli.errors import SetupError
from colorcli.models.adapter import ModelAdapter
from colorcli.networks.card import ModelCard

FLOATS = {"float32": "fp32", "float16": "fp16"}
"""NumPy's names of the types that a model may take, and a model card's."""
MAX_AB = 300.0
"""No color of sRGB has an a* or b* beyond 110; DDColor is known to reach 180."""


def fits(spec: TensorSpec, channels: int) -> bool:
    """Whether a tensor can be pictures with this number of channels, channels first or last."""
    if len(spec.shape) != 4 or spec.dtype not in FLOATS:
        return False
    return channels in (spec.shape[1], spec.shape[3]) or spec.shape[1] is spec.shape[3] is None


class AdoptedModel(ModelAdapter):
    """A model that another project published, without a model card.

    A file with a fixed size gets the picture stretched to that size, as the published hosts do. A file with
    free sizes gets the picture in its own aspect, padded by its edges to a multiple that the network needs.
    """

    kind: ClassVar[str]
    """As `--model-kind` spells it."""
    size: ClassVar[int] = 256
    """Working size of a file with free sizes."""
    multiple_of: ClassVar[int] = 32
    input_channels: ClassVar[tuple[int, ...]]
    """Number of channels of each input, in any order."""
    output_channels: ClassVar[int]
    output_scale: ClassVar[int] = 1
    """Side of the input, divided by that of the output."""

    takes_hints = False

    def __init__(self, engine: Engine, path: Path) -> None:
        super().__init__(engine, path)
        self._path = path
        height, width = _size(engine.inputs[0])
        self.fixed_size = None if height is None or width is None else (height, width)
        digest = file_digest(path)
        self.card = ModelCard(
            name=self.kind,
            version=digest[:12],
            architecture=self.kind,
            working_size=min(self.fixed_size) if self.fixed_size else self.size,
            multiple_of=self.multiple_of,
            precision=FLOATS[engine.inputs[0].dtype],
            digest=digest,
        )

    @classmethod
    def matches(cls, engine: Engine) -> bool:
        if len(engine.inputs) != len(cls.input_channels) or len(engine.outputs) != 1:
            return False
        return (
            _assignable(engine.inputs, cls.input_channels)
            and fits(engine.outputs[0], cls.output_channels)
            and _sizes_agree(engine.inputs[0], engine.outputs[0], cls.output_scale)
        )

    @abstractmethod
    def _tensors(self, luma: Plane, hints: Hints | None) -> dict[str, Plane]:
        """The inputs, each [C, h, w], for a picture of the network's size."""

    @abstractmethod
    def _chroma(self, output: Plane, luma: Plane) -> Plane:
        """The output [C, h, w] as BT.601 chroma [2, h, w].

        Raises:
            ValueError: the values are not what this kind of model gives.
        """

    def predict(self, lumas: Sequence[Plane], hints: Sequence[Hints | None]) -> list[Plane]:
        return [self._predict(*pair) for pair in zip(lumas, hints, strict=True)]

    def _predict(self, luma: Plane, hints: Hints | None) -> Plane:
        height, width = luma.shape
        if self.fixed_size:
            shape, network_luma = self.fixed_size, resized(luma, self.fixed_size)
        else:
            network_luma = _padded(luma, self.multiple_of)
            shape = network_luma.shape
        network_hints = None
        if hints is not None and self.takes_hints:
            network_hints = (
                _hints_at(hints, shape) if self.fixed_size else _padded_hints(hints, self.multiple_of)
            )
        output = self._run(self._tensors(network_luma, network_hints), shape)
        try:
            chroma = self._chroma(output, network_luma)
        except ValueError as error:
            cause = f"is not a model of kind {self.kind} ({error})"
            raise SetupError(self._path, cause, "name another --model-kind, or download it again") from error
        chroma = resized(chroma, (height, width)) if self.fixed_size else chroma[:, :height, :width]
        return np.clip(chroma, -0.5, 0.5).astype(np.float32, copy=False)

    def _run(self, planes: dict[str, Plane], shape: tuple[int, ...]) -> Plane:
        """Run the network once, whatever layout and types it has, and give its output at `shape`."""
        specs = {spec.name: spec for spec in self._engine.inputs}
        tensors: dict[str, NDArray[Any]] = {}
        for name, plane in planes.items():
            ordered = plane.transpose(1, 2, 0) if _channels_last(specs[name], len(plane)) else plane
            tensors[name] = np.ascontiguousarray(ordered[None], specs[name].dtype)
        (spec,) = self._engine.outputs
        output = self._engine.run(tensors)[spec.name][0].astype(np.float32)
        if _channels_last(spec, self.output_channels):
            output = output.transpose(2, 0, 1)
        expected = (self.output_channels, *(length // self.output_scale for length in shape))
        if output.shape != expected:
            cause = f"gives {list(output.shape)} where a model of kind {self.kind} gives {list(expected)}"
            raise SetupError(self._path, cause, "name another kind with --model-kind")
        return resized(output, (shape[0], shape[1]))


def check_ab(ab: Plane) -> Plane:
    """Pass on a* and b*.

    Raises:
        ValueError: they are outside any range in which a color could be.
    """
    if not np.isfinite(ab).all():
        raise ValueError("it gives values that are not numbers, as damaged or overflowing weights do")
    if np.abs(ab).max() > MAX_AB:
        raise ValueError(f"it gives values up to {np.abs(ab).max():.3g}, more than any a* or b*")
    return ab


def resized(plane: Plane, shape: tuple[int, int]) -> Plane:
    """[h, w] or [C, h, w] stretched to `shape`: averaged where it shrinks, else interpolated."""
    if plane.shape[-2:] == shape:
        return plane
    shrinks = shape[0] <= plane.shape[-2] and shape[1] <= plane.shape[-1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    planes = plane.reshape(-1, *plane.shape[-2:])
    stack = [cv2.resize(one, shape[::-1], interpolation=method) for one in planes]
    return np.stack(stack).reshape(*plane.shape[:-2], *shape)


def _padded(plane: Plane, multiple: int) -> Plane:
    pad = [(0, 0)] * (plane.ndim - 2) + [(0, -length % multiple) for length in plane.shape[-2:]]
    return np.pad(plane, pad, mode="edge")


def _padded_hints(hints: Hints, multiple: int) -> Hints:
    """Hints with unknown colors in the padding."""
    height, width = hints.mask.shape
    pad = ((0, -height % multiple), (0, -width % multiple))
    return Hints(np.pad(hints.chroma, ((0, 0), *pad)), np.pad(hints.mask, pad))


def _hints_at(hints: Hints, shape: tuple[int, int]) -> Hints:
    """Hints stretched to `shape`: the mean of the known colors, known wherever one of them is."""
    mask = resized(hints.mask, shape)
    chroma = np.divide(resized(hints.chroma * hints.mask, shape), np.maximum(mask, 1e-6), dtype=np.float32)
    return Hints(chroma, (mask > 0).astype(np.float32))


def _assignable(specs: Sequence[TensorSpec], channels: Sequence[int]) -> bool:
    """Whether the inputs have these numbers of channels, in any order."""
    left = list(channels)
    for spec in specs:
        found = next((number for number in left if fits(spec, number)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _channels_last(spec: TensorSpec, channels: int) -> bool:
    return spec.shape[1] != channels and spec.shape[3] == channels


def _size(spec: TensorSpec) -> tuple[int | None, int | None]:
    """Height and width, None where free; channels are few, so the smallest dimension is theirs."""
    last = spec.shape[3] is not None and spec.shape[3] <= 4
    height, width = spec.shape[1:3] if last and (spec.shape[1] or 5) > 4 else spec.shape[2:4]
    return height, width


def _sizes_agree(source: TensorSpec, output: TensorSpec, scale: int) -> bool:
    """Whether the output's size can be the input's, divided by `scale`."""
    pairs = zip(_size(source), _size(output), strict=True)
    return all(one is None or other is None or one == other * scale for one, other in pairs)
