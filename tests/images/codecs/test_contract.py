"""What every codec promises, whatever the format: the same tests over the whole registry."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.images import gray, load, save
from support.scenes import Colorize, color_scene, scene

from colorcli.errors import InputError, RefusedError
from colorcli.images.codecs.registry import FORMATS, SUFFIXES, input_format, sniff
from colorcli.images.metadata import icc
from colorcli.options import RunOptions


@dataclass(frozen=True)
class Holds:
    """What a format can hold."""

    depths: tuple[int, ...] = (8,)
    alpha: bool = False
    metadata: tuple[str, ...] = ()
    """Of Pillow's names."""


CODECS = {
    ".jpg": Holds(metadata=("exif", "icc_profile", "xmp")),
    ".png": Holds((8, 16), alpha=True, metadata=("exif", "icc_profile")),
    ".tif": Holds((8, 16), alpha=True, metadata=("icc_profile",)),
    ".webp": Holds(alpha=True, metadata=("exif", "icc_profile", "xmp")),
    ".bmp": Holds(),
    ".jp2": Holds((8, 16), alpha=True),
    ".avif": Holds(alpha=True, metadata=("exif", "icc_profile", "xmp")),
    ".heic": Holds(alpha=True, metadata=("exif", "icc_profile", "xmp")),
    ".ppm": Holds((8, 16)),
    ".jxl": Holds((8, 16), alpha=True),
}
DEPTHS = [(suffix, depth) for suffix, holds in CODECS.items() for depth in holds.depths]
WITH_ALPHA = [(suffix, depth) for suffix, depth in DEPTHS if CODECS[suffix].alpha]
EXIF_ORIENTED = [suffix for suffix, holds in CODECS.items() if "exif" in holds.metadata or suffix == ".tif"]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is not installed"
)


def picture(depth: int = 8, alpha: bool = False) -> np.ndarray:
    base = scene(90, 130, (1 << depth) - 1)
    return np.stack([base, base, base, base[::-1]], axis=2) if alpha else base


def test_every_format_is_tested() -> None:
    elsewhere = {"PDF"}  # test_pdf.py: only a PDF becomes a PDF
    assert {SUFFIXES[suffix] for suffix in CODECS} == {
        entry for entry in FORMATS if not entry.becomes and entry.name not in elsewhere
    }


@pytest.mark.parametrize(("suffix", "depth"), DEPTHS)
def test_probe_gives_the_decoded_size(suffix: str, depth: int, tmp_path: Path) -> None:
    source = save(tmp_path / f"in{suffix}", picture(depth))
    codec = input_format(source).codec
    with codec.open(source) as (page,):
        assert codec.probe(source) == load(source).shape[:2] == page.raster.array().shape[:2]
        assert page.raster.depth == depth


@pytest.mark.parametrize("suffix", CODECS)
def test_contents_decide_not_the_suffix(suffix: str, tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / f"in{suffix}", picture())
    assert sniff(source.read_bytes()[:64]) is SUFFIXES[suffix]
    source.rename(tmp_path / "nameless")
    assert colorize(tmp_path / "nameless", tmp_path / f"out{suffix}").action == "colorized"


@pytest.mark.parametrize("suffix", CODECS)
def test_too_many_pixels_are_refused_before_decoding(
    suffix: str, tmp_path: Path, colorize: Colorize, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save(tmp_path / f"in{suffix}", picture())
    codec = input_format(source).codec
    monkeypatch.setattr(type(codec), "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(RefusedError, match="11,700 pixels"):
        colorize(source, tmp_path / f"out{suffix}", options=RunOptions(max_pixels=11_699))


@pytest.mark.parametrize(("suffix", "depth"), DEPTHS)
def test_gray_and_depth_are_kept(suffix: str, depth: int, tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / f"in{suffix}", picture(depth))
    outcome = colorize(source, tmp_path / f"out{suffix}", saturation=2.0)
    before, after = load(source), load(tmp_path / f"out{suffix}")
    assert outcome.facts == {"width": 130, "height": 90, "pages": 1}
    assert after.dtype == before.dtype
    assert after.shape == (90, 130, 3)
    assert np.abs(gray(after) - gray(before)).max() <= 1
    assert np.ptp(after.astype(int), axis=2).max() > 8 << (depth - 8)


@pytest.mark.parametrize(("suffix", "depth"), WITH_ALPHA)
def test_alpha_is_kept(suffix: str, depth: int, tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / f"in{suffix}", picture(depth, alpha=True))
    colorize(source, tmp_path / f"out{suffix}")
    before, after = load(source), load(tmp_path / f"out{suffix}")
    assert after.shape == (90, 130, 4)
    assert (after[:, :, 3] == before[:, :, 3]).all()
    assert np.abs(gray(after) - gray(before)).max() <= 1


@pytest.mark.parametrize("suffix", CODECS)
def test_a_picture_in_color_is_copied_byte_for_byte(suffix: str, tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / f"in{suffix}", color_scene())
    assert colorize(source, tmp_path / f"out{suffix}").action == "copied"
    assert (tmp_path / f"out{suffix}").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("target", CODECS)
@pytest.mark.parametrize("suffix", CODECS)
def test_every_format_converts_to_every_other(
    suffix: str, target: str, tmp_path: Path, colorize: Colorize
) -> None:
    source = save(tmp_path / f"in{suffix}", picture())
    colorize(source, tmp_path / f"out{target}")
    assert input_format(tmp_path / f"out{target}") is SUFFIXES[target]
    assert np.abs(gray(load(tmp_path / f"out{target}")) - gray(load(source))).max() <= 1


@pytest.mark.parametrize(("suffix", "kind"), [(s, kind) for s in CODECS for kind in CODECS[s].metadata])
def test_metadata_is_kept(suffix: str, kind: str, tmp_path: Path, colorize: Colorize) -> None:
    exif = Image.Exif()
    exif[271] = "Leica"
    blocks = {
        "exif": exif.tobytes(),
        "icc_profile": icc.srgb_profile(),
        "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
        b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'/></x:xmpmeta>",
    }
    source = tmp_path / f"in{suffix}"
    Image.fromarray(np.stack([picture()] * 3, axis=2)).save(source, **{kind: blocks[kind]})
    colorize(source, tmp_path / f"out{suffix}", provenance=False)
    with Image.open(source) as before, Image.open(tmp_path / f"out{suffix}") as after:
        assert before.info[kind]
        assert after.info[kind] == before.info[kind]


@pytest.mark.parametrize("suffix", EXIF_ORIENTED)
def test_orientation_is_kept_and_not_applied(suffix: str, tmp_path: Path, colorize: Colorize) -> None:
    exif = Image.Exif()
    exif[274] = 6
    source = tmp_path / f"in{suffix}"
    Image.fromarray(np.stack([picture()] * 3, axis=2)).save(source, exif=exif)
    with Image.open(source) as image:
        stored = image.getexif().get(274), image.size
    colorize(source, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert (image.getexif().get(274), image.size) == stored


@pytest.mark.parametrize("suffix", CODECS)
def test_a_truncated_file_is_named(suffix: str, tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / f"in{suffix}", picture())
    source.write_bytes(source.read_bytes()[:100])
    with pytest.raises(InputError, match=rf"in{suffix}: .*; "):
        colorize(source, tmp_path / f"out{suffix}")
    assert not (tmp_path / f"out{suffix}").exists()
