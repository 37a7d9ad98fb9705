"""Mutated files end in one of our errors or in a complete output, and in nothing else.

A few hundred inputs here; `python tests/images/test_fuzz.py 20000` tries that many.
"""

import io
import random
import re
import struct
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.broken import encoded
from support.scenes import scene
from support.strange import GRAY, PACKETS, box, inserted, jp2, with_canon_note


def pyramid() -> bytes:
    target = io.BytesIO()
    with tifffile.TiffWriter(target) as file:
        file.write(scene(24, 33), subifds=1, photometric="minisblack")
        file.write(scene(24, 33)[::2, ::2], subfiletype=1, photometric="minisblack")
    return target.getvalue()


def rich_jpeg() -> bytes:
    """One with an Exif block, XMP, Photoshop's resources in two parts and an index of images."""
    index = b"MPF\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0xB002, 7, 32, 26, 0) + bytes(16)
    index += struct.pack("<IIII", 0, 100, 900, 0)
    return inserted(
        encoded("jpeg", scene(24, 33)),
        (0xE1, b"Exif\0\0" + with_canon_note(scene(4, 5))),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + PACKETS["UTF-16 LE"]),
        (0xED, b"Photoshop 3.0\08BIM\4\4\0\0\0\0\0\x0b\x1c\2\x19\0\6"),
        (0xED, b"Photoshop 3.0\0street\0"),
        (0xE2, index),
    ) + encoded("jpeg", scene(8, 9))


def rich_png() -> bytes:
    """One with text, a resolution, XMP and IPTC."""
    data = encoded("png", scene(24, 33))
    chunks = (
        (b"pHYs", struct.pack(">IIB", 1000, 1000, 1)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKETS["UTF-8"]),
        (b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(b"\niptc\n 4\n1c021900\n")),
        (b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    )
    extra = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + extra + data[33:]


def palette_jp2() -> bytes:
    stream = imagecodecs.jpeg2k_encode(scene(24, 33) >> 6, level=0, codecformat="j2k", bitspersample=2)
    palette = box(b"pclr", b"\0\4\1\7\0\x50\xa0\xff") + box(b"cmap", b"\0\0\1\0")
    return jp2(bytes(stream), (24, 33), 1, GRAY, palette)


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
    "rich.jpg": rich_jpeg,
    "rich.png": rich_png,
    "note.tif": lambda: with_canon_note(scene(24, 33)),
    "xmp.tif": lambda: encoded(
        "tiff", scene(24, 33), extratags=[(700, 1, len(PACKETS["Latin-1"]), PACKETS["Latin-1"], True)]
    ),
    "palette.jp2": palette_jp2,
    "plain.pgm": lambda: b"P2\n# comment\n4 3\n15\n" + b" ".join(b"%d" % n for n in range(12)) + b"\n",
}


PYTHON_WORDS = re.compile(
    r"unexpected error|Errno|object at 0x|out of (range|bounds)|requires a buffer|boolean index|NoneType|"
    r"Error\b|division|not iterable|attribute|codec can"
)
"""What no message about a damaged file may contain."""


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
    except ColorcliError as error:
        assert not PYTHON_WORDS.search(f"{error.cause}; {error.remedy}"), str(error)
        assert not output.exists(), "an error, and an output besides"
        return "refused"
    finally:
        assert not list(output.parent.glob(".*")), "a partial output was left"
    # The copy of a damaged picture in color is as good as what the user had.
    if output.suffix != ".tif" and output.read_bytes() != source.read_bytes():
        with Image.open(output) as image:
            image.load()
    return "done"


def campaign(folder: Path, rounds: int, seed: int, colorize: Callable[[Path, Path], object]) -> Counter[str]:
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    for kind, make in SEEDS.items():
        data = make()
        source, output = folder / f"in-{kind}", folder / "out" / kind.replace(".pgm", ".ppm")
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
