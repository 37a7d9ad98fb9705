"""A TensorRT plan with a header before it, so that the wrong machine finds out before it tries.

Layout: `MAGIC`, the header's length (uint32, little endian), the header (JSON, UTF-8), the plan.
"""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from colorcli.engines.builders.parity import Shape
from colorcli.errors import SetupError, UsageError
from colorcli.models.card import ModelCard

_SHAPE = re.compile(r"(\d+)x(\d+)x(\d+)")
MAGIC = b"colorcli plan 1\n"
_LENGTH = struct.Struct("<I")


Report = Callable[[str, int, int], bool]
"""Told of a build's progress: a phase's name, steps done and steps in all; its False stops the build."""


@dataclass(frozen=True)
class Profile:
    """A range of shapes that TensorRT makes a plan fast for; `opt` is where it is fastest."""

    min: Shape
    opt: Shape
    max: Shape

    @classmethod
    def parse(cls, smallest: str, best: str, largest: str) -> "Profile":
        """Read three shapes written as `8x512x512`.

        Raises:
            UsageError: they are no shapes, do not grow, or the smallest is more than one picture.
        """
        made = cls(*map(_shape, (smallest, best, largest)))
        if any(
            not low <= middle <= high for low, middle, high in zip(made.min, made.opt, made.max, strict=True)
        ):
            raise UsageError(str(made), "shapes must grow from min to opt to max", "reorder them")
        if made.min[0] != 1:
            raise UsageError(smallest, "a film's last pictures may come alone", "begin --min with 1")
        return made

    def covers(self, height: int, width: int) -> bool:
        """Can pictures of this size run, if need be padded up to `min`?"""
        return height <= self.max[1] and width <= self.max[2]

    def __str__(self) -> str:
        return " ".join(
            f"--{name} {'x'.join(map(str, shape))}"
            for name, shape in (("min", self.min), ("opt", self.opt), ("max", self.max))
        )


@dataclass(frozen=True)
class EngineOptions:
    """What a plan is built to run."""

    profiles: tuple[Profile, ...]
    version_compatible: bool = False
    """It also runs with later versions of TensorRT, and is the larger for it."""
    hardware_compatible: bool = False
    """It runs on any GPU from Ampere on, somewhat slower."""


@dataclass(frozen=True)
class Gpu:
    name: str
    capability: tuple[int, int]
    """Compute capability, major and minor."""


@dataclass(frozen=True)
class EngineHeader:
    card: ModelCard
    tensorrt: str
    """Version that built the plan."""
    gpu: Gpu
    """That it was built on."""
    options: EngineOptions
    rebuild: str
    """The command that builds it anew."""
    engine_bytes: int

    def check(self, path: Path, tensorrt: str, gpu: Gpu) -> None:
        """Is the plan for this TensorRT and this GPU?

        Raises:
            SetupError: it is not; the remedy is the command that rebuilds it.
        """
        if not self._runs_with(tensorrt):
            cause = f"built with TensorRT {self.tensorrt}, and this is {tensorrt}"
            raise SetupError(path, cause, f"rebuild it: {self.rebuild}")
        if not self._runs_on(gpu):
            cause = f"built for {self.gpu.name}, and this is {gpu.name}"
            raise SetupError(path, cause, f"rebuild it: {self.rebuild}")

    def _runs_with(self, tensorrt: str) -> bool:
        """Plans run with the version that built them; version-compatible ones also with later ones."""
        if self.options.version_compatible:
            return _version(tensorrt) >= _version(self.tensorrt)
        return tensorrt == self.tensorrt

    def _runs_on(self, gpu: Gpu) -> bool:
        """Plans run on the model of GPU that built them; hardware-compatible ones on Ampere and later."""
        return gpu.capability >= (8, 0) if self.options.hardware_compatible else gpu == self.gpu


def write_engine(path: Path, header: EngineHeader, plan: bytes) -> None:
    text = json.dumps(asdict(header), sort_keys=True).encode()
    path.write_bytes(MAGIC + _LENGTH.pack(len(text)) + text + plan)


def read_engine(path: Path) -> tuple[EngineHeader, bytes]:
    """Read what `write_engine` wrote.

    Raises:
        SetupError: it is no plan of ours, or only a part of one.
    """
    content = path.read_bytes()
    start = len(MAGIC) + _LENGTH.size
    try:
        if not content.startswith(MAGIC):
            raise ValueError("a plan made by other means carries no model card")
        (length,) = _LENGTH.unpack(content[len(MAGIC) : start])
        header = _header(json.loads(content[start : start + length]))
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise SetupError(
            path, f"not an exported plan ({error})", "export it with `colorcli export`"
        ) from error
    plan = content[start + length :]
    if len(plan) != header.engine_bytes:  # TensorRT is not sure to survive half a plan
        cause = f"{len(plan)} of {header.engine_bytes} bytes of plan are there"
        raise SetupError(path, cause, f"rebuild it: {header.rebuild}")
    return header, plan


def _shape(text: str) -> Shape:
    match = _SHAPE.fullmatch(text)
    if match is None or "0" in match.groups():
        raise UsageError(text, "not a shape", "write pictures, height and width as in 8x512x512")
    return int(match[1]), int(match[2]), int(match[3])


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _header(values: dict[str, Any]) -> EngineHeader:
    profiles = tuple(
        Profile(**{name: tuple(shape) for name, shape in profile.items()})
        for profile in values["options"].pop("profiles")
    )
    return EngineHeader(
        card=ModelCard.from_json(json.dumps(values.pop("card"))),
        options=EngineOptions(profiles, **values.pop("options")),
        gpu=Gpu(values["gpu"]["name"], tuple(values.pop("gpu")["capability"])),
        **values,
    )
