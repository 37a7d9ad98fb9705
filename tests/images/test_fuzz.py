"""Mutated files end in one of our errors or in a complete output, and in nothing else.

A few hundred inputs here; `python tests/images/test_fuzz.py 20000` tries that many.
"""

import io
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.broken import encoded
from support.scenes import scene


def pyramid() -> bytes:
    target = io.BytesIO()
    with tifffile.TiffWriter(target) as file:
        file.write(scene(24, 33), subifds=1, photometric="minisblack")
        file.write(scene(24, 33)[::2, ::2], subfiletype=1, photometric="minisblack")
    return target.getvalue()


SEEDS: dict[str, Callable[[], bytes]] = {
    "gray.jpg": lambda: encoded("jpeg", scene(24, 33)),
    "progressive.jpg": lambda: encoded("jpeg", scene(24, 33), progressive=True),
    "color.jpg": lambda: encoded("jpeg", np.stack([scene(24, 33)] * 3, axis=2), quality=90),
    "gray.png": lambda: encoded("png", scene(24, 33)),
    "deep.png": lambda: encoded("png", scene(24, 33, 65535)),
    "plain.tif": lambda: encoded("tiff", scene(24, 33, 65535)),
    "packed.tif": lambda: encoded("tiff", scene(24, 33), compression="lzw", rowsperstrip=8),
    "deflated.tif": lambda: encoded("tiff", scene(24, 33), compression="deflate", tile=(16, 16)),
    "pyramid.tif": pyramid,
    "gray.webp": lambda: encoded("webp", scene(24, 33)),
    "gray.bmp": lambda: encoded("bmp", scene(24, 33)),
    "gray.ppm": lambda: encoded("ppm", scene(24, 33)),
    "gray.jp2": lambda: encoded("jp2", scene(24, 33)),
}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One of the ways in which files go bad: bits, bytes, cuts, repeats, wild numbers."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(result))
        match chance.randrange(6):
            case 0:
                result[at] ^= 1 << chance.randrange(8)
            case 1:
                result[at] = chance.randrange(256)
            case 2:
                result[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\1\0"))
            case 3:
                del result[at : at + chance.randrange(1, 64)]
            case 4:
                result[at:at] = result[at : at + chance.randrange(1, 64)]
            case 5:
                del result[at:]
        if not result:
            return b"\0"
    return bytes(result)


def outcome(source: Path, output: Path, colorize: Callable[[Path, Path], object]) -> str:
    """Refused or done; raises AssertionError for anything but one of our errors or a complete output."""
    from PIL import Image

    from colorcli.errors import ColorcliError

    try:
        colorize(source, output)
    except ColorcliError:
        assert not output.exists(), "an error, and an output besides"
        return "refused"
    finally:
        assert not list(output.parent.glob(".*")), "a partial output was left"
    if output.suffix != ".tif":
        with Image.open(output) as image:
            image.load()
    return "done"


def campaign(folder: Path, rounds: int, seed: int, colorize: Callable[[Path, Path], object]) -> Counter[str]:
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    for kind, make in SEEDS.items():
        data = make()
        source, output = folder / f"in-{kind}", folder / "out" / kind
        output.parent.mkdir(exist_ok=True)
        for _ in range(rounds // len(SEEDS)):
            source.write_bytes(mutated(data, chance))
            output.unlink(missing_ok=True)
            counts[outcome(source, output, colorize)] += 1
    return counts


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_end_cleanly(tmp_path: Path, colorize: Callable[[Path, Path], object]) -> None:
    counts = campaign(tmp_path, 400, 11, colorize)
    assert counts["done"] > 20
    assert counts["refused"] > 100


def main() -> None:
    from support.toy import toy_generator

    from colorcli.colorizer.color_sources import ColorSources
    from colorcli.colorizer.predictor import ChromaPredictor
    from colorcli.images.colorize import colorize_image
    from colorcli.models import open_model
    from colorcli.options import RunOptions

    warnings.simplefilter("ignore")
    rounds, options = int(sys.argv[1]), RunOptions(max_pixels=10**7)
    with tempfile.TemporaryDirectory() as scratch:
        path = toy_generator(Path(scratch) / "toy.onnx")
        folder = Path(scratch) / "files"
        folder.mkdir()
        with open_model(path, "cpu", threads=1) as model:
            predictor, sources = ChromaPredictor(model), ColorSources.load(options.color)
            counts = campaign(
                folder, rounds, int(sys.argv[2]) if len(sys.argv) > 2 else 1,
                lambda source, output: colorize_image(source, output, options, predictor, sources),
            )  # fmt: skip
    sys.stdout.write(f"{dict(counts)}\n")


if __name__ == "__main__":
    main()
