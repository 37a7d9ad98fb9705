"""Engine files: a serialized TensorRT engine behind a header that says what it is and where it runs.

Layout: `MAGIC`, the header's length (uint32, little endian), the header (JSON, UTF-8), the engine.
"""

import json
import re
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from colorcli.errors import SetupError, UsageError
from colorcli.networks.card import ModelCard

REBUILD_KEY = "colorcli.rebuild"
"""Key of the command that makes a compiled file again, in its metadata."""
KIND_KEY = "colorcli.kind"
"""Key of the kind in the metadata of what `export` makes of another project's model."""
SOURCE_KEY = "colorcli.source"
"""Key of the digest of the file that such an export was made of."""
MAGIC = b"colorcli engine 1\n"
_LENGTH = struct.Struct("<I")
_SHAPE = re.compile(r"(\d+)x(\d+)x(\d+)")

Shape = tuple[int, int, int]
"""Pictures, height, width."""


@dataclass(frozen=True)
class Profile:
    """An optimization profile: the range of shapes that an engine runs, and the one it is fastest at."""

    min: Shape
    opt: Shape
    max: Shape

    @classmethod
    def parse(cls, smallest: str, best: str, largest: str) -> "Profile":
        """Read three shapes written as `8x512x512`.

        Raises:
            UsageError: they are not shapes, do not grow, or the smallest is more than one picture.
        """
        made = cls(*map(_shape, (smallest, best, largest)))
        if any(
            not low <= middle <= high for low, middle, high in zip(made.min, made.opt, made.max, strict=True)
        ):
            raise UsageError(str(made), "shapes must grow from min to opt to max", "reorder them")
        if made.min[0] != 1:
            raise UsageError(smallest, "the last batch of a film may hold one picture", "begin --min with 1")
        return made

    def covers(self, height: int, width: int) -> bool:
        """Whether pictures of this size run, padded to `min` where they are smaller."""
        return height <= self.max[1] and width <= self.max[2]

    def __str__(self) -> str:
        return " ".join(
            f"--{name} {'x'.join(map(str, shape))}"
            for name, shape in (("min", self.min), ("opt", self.opt), ("max", self.max))
        )


@dataclass(frozen=True)
class EngineOptions:
    """The shapes and machines that an engine is built for."""

    profiles: tuple[Profile, ...]
    version_compatible: bool = False
    """Run with later versions of TensorRT, too; the file is larger."""
    hardware_compatible: bool = False
    """Run on any GPU from Ampere on, somewhat slower."""


@dataclass(frozen=True)
class RtxOptions:
    """What to compile a model for."""

    target: str = ""
    """Architecture, such as `sm89`; empty for this machine's card."""
    profiles: tuple[Profile, ...] = ()
    """Ranges of shapes; none stands for `rtx.ANY_SHAPE`."""


@dataclass(frozen=True)
class Gpu:
    """A model of GPU."""

    name: str
    capability: tuple[int, int]
    """Compute capability, major and minor."""


@dataclass(frozen=True)
class EngineHeader:
    """Everything in an engine file but the engine."""

    card: ModelCard
    tensorrt: str
    """Version of TensorRT that built the engine."""
    gpu: Gpu
    """GPU that it was built on."""
    options: EngineOptions
    rebuild: str
    """Command that rebuilds it."""
    engine_bytes: int
    """Size of the serialized engine in bytes."""
    kind: str = ""
    """Family of the model, if it is another project's."""

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says about itself, as ONNX files say it."""
        adopted = {KIND_KEY: self.kind, SOURCE_KEY: self.card.digest}
        return {**(adopted if self.kind else self.card.to_metadata()), REBUILD_KEY: self.rebuild}

    def check(self, path: Path, tensorrt: str, gpu: Gpu) -> None:
        """Check that the engine runs with this version of TensorRT on this GPU.

        Raises:
            SetupError: it does not; the remedy is the command that rebuilds it.
        """
        if not self._runs_with(tensorrt):
            cause = f"built with TensorRT {self.tensorrt}, but this machine has {tensorrt}"
            raise SetupError(path, cause, f"rebuild it: {self.rebuild}")
        if not self._runs_on(gpu):
            cause = f"built for {self.gpu.name}, but this machine has {gpu.name}"
            raise SetupError(path, cause, f"rebuild it: {self.rebuild}")

    def _runs_with(self, tensorrt: str) -> bool:
        """Engines run with the version that built them; version-compatible ones also with later versions."""
        if self.options.version_compatible:
            return _version(tensorrt) >= _version(self.tensorrt)
        return tensorrt == self.tensorrt

    def _runs_on(self, gpu: Gpu) -> bool:
        """Engines run on the model of GPU that built them; hardware-compatible ones on Ampere and later."""
        return gpu.capability >= (8, 0) if self.options.hardware_compatible else gpu == self.gpu


def write_engine_file(path: Path, header: EngineHeader, serialized: bytes) -> None:
    """Write a serialized engine behind its header."""
    text = json.dumps(asdict(header), sort_keys=True).encode()
    path.write_bytes(MAGIC + _LENGTH.pack(len(text)) + text + serialized)


def read_engine_file(path: Path) -> tuple[EngineHeader, bytes]:
    """Read a file's header and serialized engine.

    Raises:
        SetupError: it is not a file that `write_engine_file` wrote, or only a part of one.
    """
    content = path.read_bytes()
    start = len(MAGIC) + _LENGTH.size
    try:
        if not content.startswith(MAGIC):
            raise ValueError("an engine built by other means carries no model card")
        (length,) = _LENGTH.unpack(content[len(MAGIC) : start])
        header = _header(json.loads(content[start : start + length]))
    except (ValueError, KeyError, TypeError, struct.error) as error:
        cause = f"not an engine file ({error})"
        raise SetupError(path, cause, "export it with `colorcli export`") from error
    serialized = content[start + length :]
    if len(serialized) != header.engine_bytes:  # TensorRT may crash on a truncated engine
        cause = f"truncated: {len(serialized)} of {header.engine_bytes} bytes of the engine"
        raise SetupError(path, cause, f"rebuild it: {header.rebuild}")
    return header, serialized


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
