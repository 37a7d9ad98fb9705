"""Training pictures, decoded once into a pack.

A pack is one flat file of R'G'B' bytes beside a JSON index. It is memory-mapped, so training never waits for
a decoder, and the whole set can be copied to another machine as two files.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorcli.color.detection import has_color
from colorcli.errors import InputError, UsageError
from colorcli.evaluation.metrics import colorfulness
from colorcli.evaluation.pictures import Picture, read_picture, to_planes
from colorcli.files import atomic_write
from colorcli.train.config import DataConfig


@dataclass(frozen=True)
class Pack:
    """R'G'B' pictures [H, W, 3] uint8 of various sizes in one flat array."""

    pixels: NDArray[np.uint8]
    names: list[str]
    shapes: list[tuple[int, int]]
    """Height and width of each picture."""
    offsets: list[int]
    """Index of each picture's first byte in `pixels`."""
    corrupt: list[str]
    """Files that cannot be decoded."""
    dull: int
    """Number of pictures left out because they have too little color."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Picture:
        (height, width), start = self.shapes[index], self.offsets[index]
        return self.pixels[start : start + 3 * height * width].reshape(height, width, 3)

    @classmethod
    def load(cls, path: Path) -> "Pack":
        index = json.loads(path.with_suffix(".json").read_text())
        index.pop("key")
        # Writable for PyTorch's sake, though nobody writes; what is written would stay in memory.
        return cls(pixels=np.memmap(path, np.uint8, "c"), **index)


def pack_pictures(
    files: Sequence[Path], path: Path, config: DataConfig, progress: Callable[[int], None] = lambda done: None
) -> Pack:
    """Decode every picture once into `path`; an existing pack of the same files and settings is reused.

    Raises:
        InputError: none of the files is a usable picture.
    """
    key = hashlib.sha256(repr((sorted(map(str, files)), asdict(config))).encode()).hexdigest()
    index = path.with_suffix(".json")
    if index.exists() and json.loads(index.read_text())["key"] == key:
        return Pack.load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A pack without an index is incomplete and is written again.
    index.unlink(missing_ok=True)
    content = _decode_into(path, files, config, progress)
    if not content["names"]:
        path.unlink()
        counts = f"{len(content['corrupt'])} are unreadable, {content['dull']} have too little color"
        raise InputError("DATA", f"no usable picture: {counts}", "give folders of color pictures")
    with atomic_write(index) as partial:
        partial.write_text(json.dumps({"key": key, **content}))
    return Pack.load(path)


def check_same_pictures(files: Sequence[Path], path: Path) -> None:
    """Check that a run which goes on at `path` has the pictures it began with, wherever they lie now.

    Raises:
        UsageError: it began with others.
    """
    index = path.with_suffix(".json")
    if not index.exists():
        return
    content = json.loads(index.read_text())
    before = len(content["names"]) + len(content["corrupt"]) + content["dull"]
    missing = set(content["names"]) - {file.name for file in files}
    if before != len(files) or missing:
        cause = (
            f"began with {before:,} pictures, and DATA has {len(files):,}, {len(missing):,} of them missing"
        )
        raise UsageError(path.parent, cause, "name the same DATA, or start another run")


def _decode_into(
    path: Path, files: Sequence[Path], config: DataConfig, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Write the pixels of all usable pictures; return the index."""
    index: dict[str, Any] = {"names": [], "shapes": [], "offsets": [], "corrupt": [], "dull": 0}
    with path.open("wb") as sink, ThreadPoolExecutor() as pool:
        pictures = pool.map(lambda file: read_picture(file, config.short_side), files)
        for done, (file, rgb) in enumerate(zip(files, pictures, strict=True), 1):
            progress(done)
            if rgb is None:
                index["corrupt"].append(str(file))
            elif _is_dull(rgb, config):
                index["dull"] += 1
            else:
                index["names"].append(file.name)
                index["shapes"].append(rgb.shape[:2])
                index["offsets"].append(sink.tell())
                sink.write(rgb.tobytes())
    return index


def _is_dull(rgb: Picture, config: DataConfig) -> bool:
    """Whether a picture has too little color to learn from."""
    if colorfulness(rgb) < config.min_colorfulness:
        return True
    return config.skip_toned and not has_color(*to_planes(rgb))
