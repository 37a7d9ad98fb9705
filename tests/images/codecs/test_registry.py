"""The table of formats: what tells them apart, and what looking one up costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from colorcli.errors import InputError, SetupError, UsageError
from colorcli.images.codecs.registry import (
    FORMATS,
    READ_ONLY,
    SUFFIXES,
    colorized_name,
    input_format,
    known_suffixes,
    output_format,
    sniff,
    suffix_of,
)


def test_looking_up_a_format_loads_no_library() -> None:
    code = """
import sys
from colorcli.images.codecs.registry import sniff
assert sniff(b"P5 1 1 255").name == "Netpbm"
heavy = {"cv2", "numpy", "PIL", "tifffile", "imagecodecs"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_suffixes_belong_to_one_format() -> None:
    assert len(SUFFIXES) == sum(len(entry.suffixes) for entry in FORMATS)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"MM\0+", "TIFF"),
        (b"P5\n# a comment", "Netpbm"),
        (b"P6#", "Netpbm"),
    ],
)
def test_first_bytes_tell_the_format(head: bytes, name: str) -> None:
    found = sniff(head)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "head", [b"", b"\0\0\0\x20ftypisom", b"P7\n", b"P5x", b"BM no bitmap", b"%!PS-Adobe"]
)
def test_other_files_are_not_images(head: bytes) -> None:
    assert sniff(head) is None
    assert suffix_of(head) == ".png"


def test_names_of_outputs() -> None:
    assert colorized_name(Path("a/b.PGM")) == Path("a/b.ppm")
    assert colorized_name(Path("a/b.TIF")) == Path("a/b.TIF")
    assert suffix_of(b"P5 1 1 255") == ".ppm"
    assert "pgm" not in known_suffixes().split(", ")
    for suffix in SUFFIXES.keys() - READ_ONLY.keys():
        assert output_format(Path(f"out{suffix.upper()}")) is SUFFIXES[suffix]
    with pytest.raises(UsageError, match="no picture format has this suffix; use one of avif, bmp"):
        output_format(Path("out.xyz"))
    for suffix, other in READ_ONLY.items():
        with pytest.raises(UsageError, match=f"{suffix[1:].upper()} .*; use {other[1:]} instead"):
            output_format(Path(f"out{suffix}"))


def test_inputs_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for name, cause in {"nowhere.jpg": "No such file", "empty.jpg": "is empty", ".": "directory"}.items():
        with pytest.raises(InputError, match=cause):
            input_format(tmp_path / name)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorcli.images.codecs.heic", raising=False)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(SetupError, match=r"HEIC: pillow_heif is not installed; pip install '.*\[heic\]'"):
        _ = SUFFIXES[".heic"].codec
