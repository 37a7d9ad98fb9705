"""Make the gallery of the public-domain samples, before and after: python docs/make_gallery.py

The command line colorizes every picture and clip of `examples/`. Each picture, and three frames of each
clip, are saved beside their sources in `docs/gallery/`; `docs/gallery.md` shows all of them,
`docs/before_after.jpg` one of each.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.models import open_model
from colorcli.options import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
SAMPLES, GALLERY, PAGE = ROOT / "examples", ROOT / "docs" / "gallery", ROOT / "docs" / "gallery.md"
HEIGHT = 360
"""Height of a picture in the gallery, in pixels."""
POSITIONS = (0.0, 0.5, 1.0)
"""Positions of the frames shown of a clip, as shares of its length."""
PICTURES, CLIPS = {".jpg", ".png"}, {".mkv", ".mp4"}

Picture = NDArray[np.uint8]


def colorize(samples: list[Path], folder: Path) -> None:
    command = [sys.executable, "-m", "colorcli", "run", *map(str, samples), "-o", str(folder), "--quiet"]
    subprocess.run(command, check=True)


def views(path: Path) -> list[Picture]:
    """A picture, or a clip's frames at `POSITIONS`: BGR [H, W, 3]."""
    if path.suffix in PICTURES:
        return [cv2.imread(str(path), cv2.IMREAD_COLOR)]  # type: ignore[list-item]
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return [frames[round(position * (len(frames) - 1))] for position in POSITIONS]


def pair(before: Picture, after: Picture) -> Picture:
    """Both at the gallery's height, side by side."""
    scale = HEIGHT / before.shape[0]
    sides = [
        cv2.resize(side, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for side in (before, after)
    ]
    return np.concatenate(sides, axis=1)  # type: ignore[arg-type]


def make(samples: list[Path]) -> list[Path]:
    """Write a pair for every view of every sample; returns the files."""
    written = []
    GALLERY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        colorize(samples, Path(folder))
        for sample in samples:
            colored = views(Path(folder) / sample.name)
            for number, sides in enumerate(zip(views(sample), colored, strict=True), 1):
                written.append(GALLERY / f"{sample.stem}_{number}.jpg")
                cv2.imwrite(str(written[-1]), pair(*sides), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return written


def front_page(pictures: list[Path]) -> Picture:
    """The first view of each sample, one above the other at one width."""
    first = [cv2.imread(str(picture)) for picture in pictures if picture.stem.endswith("_1")]
    width = min(view.shape[1] for view in first)
    return np.concatenate(
        [cv2.resize(view, (width, view.shape[0] * width // view.shape[1])) for view in first]
    )


def page(pictures: list[Path]) -> str:
    with open_model(DEFAULT_MODEL, "cpu") as opened:
        model = f"{opened.card.name} {opened.card.version} ({opened.card.digest[:12]})"
    lines = [
        "# Gallery",
        "",
        f"Before and after, by the generator in the package: {model}.",
        "The colors are an algorithm's guess. All sources are in the public domain; see",
        "`examples/README.md`. `python docs/make_gallery.py` makes this page.",
    ]
    for picture in pictures:
        lines += ["", f"![{picture.stem}, before and after]({picture.relative_to(PAGE.parent)})"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    found = sorted(path for path in SAMPLES.iterdir() if path.suffix in PICTURES | CLIPS)
    written = make(found)
    cv2.imwrite(str(ROOT / "docs" / "before_after.jpg"), front_page(written), [cv2.IMWRITE_JPEG_QUALITY, 90])
    PAGE.write_text(page(written))
