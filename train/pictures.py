"""Training pictures: found, decoded once into a pack, and drawn from it as crops.

A pack is one flat file of R'G'B' bytes beside a JSON index, mapped into memory: training then never waits for
a decoder, and the whole set can be carried to another machine as two files. Each crop depends only on the
seed and on its place in the order, so that a resumed run sees what an uninterrupted one would have seen.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from colorcli.color.condition import condition
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.errors import InputError
from colorcli.train.config import DataConfig
from colorcli.train.degrade import degrade, gray_from_rgb
from colorcli.train.simulated_hints import simulate_hints

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
COCO_SAMPLE, COCO_SEED, COCO_COUNT, COCO_TEST = "coco-sample", 123, 10_000, 2_000
JOINED = 0.25
"""Share of the crops that are parts of two pictures."""


@dataclass(frozen=True)
class Pack:
    """R'G'B' pictures [H, W, 3] uint8 of various sizes in one flat array."""

    pixels: NDArray[np.uint8]
    names: list[str]
    shapes: list[tuple[int, int]]
    offsets: list[int]
    corrupt: list[str]
    """Files that no decoder could read."""
    dull: int
    """Pictures left out for want of color."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        (height, width), start = self.shapes[index], self.offsets[index]
        return self.pixels[start : start + 3 * height * width].reshape(height, width, 3)

    @classmethod
    def load(cls, path: Path) -> "Pack":
        index = json.loads(path.with_suffix(".json").read_text())
        index.pop("key")
        return cls(pixels=np.memmap(path, np.uint8, "r"), **index)


def find_pictures(data: Sequence[str]) -> list[Path]:
    """Folders, or `coco-sample`, -> picture files in a stable order.

    Raises:
        InputError: a folder is missing, or there is nothing in any of them.
    """
    files: list[Path] = []
    for source in data:
        if source == COCO_SAMPLE:
            files += coco_sample()[:-COCO_TEST]
        elif not Path(source).is_dir():
            raise InputError(source, "no such folder", f"give folders of pictures, or {COCO_SAMPLE}")
        else:
            files += sorted(path for path in Path(source).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(
            ", ".join(data), "no pictures in it", f"give folders with {', '.join(sorted(SUFFIXES))}"
        )
    return files


def coco_sample() -> list[Path]:
    """The 10,000 pictures of the original recipe: the last 2,000 are its test set.

    fastai's COCO_SAMPLE, downloaded once; the draw is that of Shariatnia's pix2pix tutorial.
    """
    from fastdownload import FastDownload

    folder = FastDownload(base="~/.fastai").get("https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz")
    files = np.array(sorted(folder.rglob("*.jpg")))
    random = np.random.RandomState(COCO_SEED)
    chosen = random.choice(files, COCO_COUNT, replace=False)
    return list(chosen[random.permutation(COCO_COUNT)])


def pack_pictures(
    files: Sequence[Path], path: Path, config: DataConfig, progress: Callable[[int], None] = lambda done: None
) -> Pack:
    """Decode every picture once into `path`; a pack already there for the same files is reused."""
    key = hashlib.sha256(repr((sorted(map(str, files)), asdict(config))).encode()).hexdigest()
    index = path.with_suffix(".json")
    if index.exists() and json.loads(index.read_text())["key"] == key:
        return Pack.load(path)
    names: list[str] = []
    shapes: list[tuple[int, int]] = []
    offsets: list[int] = []
    corrupt: list[str] = []
    dull = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as sink, ThreadPoolExecutor() as pool:
        pictures = pool.map(lambda file: read_picture(file, config.short_side), files)
        for done, (file, rgb) in enumerate(zip(files, pictures, strict=True), 1):
            progress(done)
            if rgb is None:
                corrupt.append(str(file))
            elif colorfulness(rgb) < config.least_colorfulness:
                dull += 1
            else:
                names.append(file.name)
                shapes.append(rgb.shape[:2])
                offsets.append(sink.tell())
                sink.write(rgb.tobytes())
    content = {"names": names, "shapes": shapes, "offsets": offsets, "corrupt": corrupt, "dull": dull}
    # The index comes last: a pack without one was interrupted, and is made anew.
    index.write_text(json.dumps({"key": key, **content}))
    if not names:
        raise InputError(
            path, "no picture could be used", f"{len(corrupt)} were unreadable, {dull} without color"
        )
    return Pack.load(path)


def read_picture(path: Path, short_side: int | None = None) -> NDArray[np.uint8] | None:
    """A picture as R'G'B' [H, W, 3], reduced to `short_side` if it is larger; None if it cannot be read."""
    try:
        bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    if bgr is None:
        return None
    scale = short_side / min(bgr.shape[:2]) if short_side else 1
    if scale < 1:
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(bgr[..., ::-1])


def colorfulness(rgb: NDArray[np.uint8]) -> float:
    """Colorfulness (Hasler and Suesstrunk 2003) of R'G'B' [H, W, 3]: 0 is gray, about 40 usual."""
    red, green, blue = rgb.reshape(-1, 3).T.astype(np.float32)
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


class Crops(Dataset[dict[str, NDArray[np.float32]]]):
    """Sample k of the endless, seeded order.

    Each holds `condition` [4, S, S], its luma degrade_prob in a share `degrade_prob` of them, clean `luma` [1, S, S], and
    true `chroma` [2, S, S].
    """

    def __init__(self, pack: Pack, indices: Sequence[int], size: int, degrade_prob: float, seed: int) -> None:
        self.pack, self.indices, self.size = pack, np.asarray(indices), size
        self.degrade_prob, self.seed = degrade_prob, seed

    def __getitem__(self, position: int) -> dict[str, NDArray[np.float32]]:
        epoch, place = divmod(position, len(self.indices))
        order = np.random.default_rng((self.seed, epoch)).permutation(self.indices)
        rng = np.random.default_rng((self.seed, epoch, place))
        rgb = random_crop(self.pack[order[place]], self.size, rng)
        if rng.random() < JOINED:
            rgb = _joined(rgb, random_crop(self.pack[rng.choice(self.indices)], self.size, rng), rng)
        luma, chroma = ycbcr_from_rgb(rgb)
        seen = degrade(gray_from_rgb(rgb, rng), rng) if rng.random() < self.degrade_prob else luma
        return {
            "condition": condition(seen, simulate_hints(chroma, rng)),
            "luma": luma[None],
            "chroma": chroma,
        }


def random_crop(rgb: NDArray[np.uint8], size: int, rng: np.random.Generator) -> Plane:
    """R'G'B' [H, W, 3] -> [3, S, S] in [0, 1]: 30 % of the area or more, aspect varied, maybe mirrored.

    Most are tilted and exposed otherwise: in a long run a picture comes back many times.
    """
    if rng.random() < 0.6:
        rgb = _tilted(rgb, rng)
    height, width = rgb.shape[:2]
    area = height * width * rng.uniform(0.3, 1)
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    crop_height = min(height, round(np.sqrt(area / aspect)))
    crop_width = min(width, round(np.sqrt(area * aspect)))
    top = rng.integers(0, height - crop_height + 1)
    left = rng.integers(0, width - crop_width + 1)
    crop = rgb[top : top + crop_height, left : left + crop_width]
    crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return _exposed(np.ascontiguousarray(crop.transpose(2, 0, 1), dtype=np.float32) / np.float32(255), rng)


def _tilted(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turned by up to 15 degrees and seen from a little aside; the rim is mirrored."""
    height, width = rgb.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-15, 15), 1.0)
    moved = cv2.transform(corners[None], turn)[0] + rng.uniform(-0.06, 0.06, (4, 2)) * (width, height)
    tilt = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(rgb, tilt, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def _exposed(picture: Plane, rng: np.random.Generator) -> Plane:
    """Lighter or darker in more than half of them, harder or softer in a third."""
    if rng.random() < 0.6:
        picture = picture ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    if rng.random() < 0.3:
        contrast, shift = (np.float32(rng.uniform(*limits)) for limits in ((0.75, 1.2), (-0.06, 0.06)))
        picture = np.clip((picture - 0.5) * contrast + 0.5 + shift, 0, 1)
    return picture


def _joined(one: Plane, other: Plane, rng: np.random.Generator) -> Plane:
    """A part of each of two crops [3, S, S] side by side: what is seen here tells nothing of there."""
    axis, cut = rng.integers(1, 3), round(one.shape[1] * rng.uniform(0.3, 0.7))
    first, _ = np.split(one, [cut], axis)
    _, second = np.split(other, [cut], axis)
    return np.concatenate([first, second], axis)
