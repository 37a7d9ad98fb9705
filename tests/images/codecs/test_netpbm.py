"""PGM and PPM, binary and plain, as scanners write them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support.cli import events, run_cli
from support.images import gray, load
from support.scenes import Colorize, color_scene, scene

from colorcli.errors import InputError, RefusedError, UsageError
from colorcli.images.codecs.netpbm import NETPBM
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE


def written(path: Path, magic: str, pixels: np.ndarray, top: int, comments: str = "") -> Path:
    """A file as the specification words it: binary with the high byte first, or plain."""
    header = f"{magic}\n{comments}{pixels.shape[1]} {pixels.shape[0]}\n{top}\n".encode()
    if magic in ("P2", "P3"):
        rows = "\n".join(" ".join(map(str, row)) for row in pixels.reshape(len(pixels), -1))
        path.write_bytes(header + rows.encode() + b"\n")
    else:
        path.write_bytes(header + pixels.astype(">u2" if top > 255 else np.uint8).tobytes())
    return path


@pytest.mark.parametrize("top", [255, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize("saturation", [1.0, 4.0])
def test_luma_is_kept(magic: str, top: int, saturation: float, tmp_path: Path, colorize: Colorize) -> None:
    base = scene(peak=top)
    pixels = np.stack([base] * 3, axis=2) if magic in ("P3", "P6") else base
    source = written(tmp_path / "in.pnm", magic, pixels, top)
    assert colorize(source, tmp_path / "out.ppm", saturation=saturation).action == "colorized"
    after = load(tmp_path / "out.ppm")
    assert after.dtype == base.dtype
    assert np.abs(gray(after) - base).max() <= 1
    with Image.open(tmp_path / "out.ppm") as by_pillow:
        assert by_pillow.mode == "RGB"
        shown = np.asarray(by_pillow).astype(float) * (top // 255)
    assert np.abs(shown - after).max() <= top // 255
    assert np.ptp(after.astype(int), axis=2).mean() > 2 * (top // 255)


@pytest.mark.parametrize("top", [1, 15, 100, 1023, 4095])
def test_any_highest_value_becomes_the_whole_range(top: int, tmp_path: Path, colorize: Colorize) -> None:
    values = np.rint(scene() / 255.0 * top).astype(np.uint16)
    source = written(tmp_path / "in.pgm", "P5", values, top)
    colorize(source, tmp_path / "out.ppm")
    after = load(tmp_path / "out.ppm")
    peak = np.iinfo(after.dtype).max
    assert after.dtype == (np.uint8 if top <= 255 else np.uint16)
    assert np.abs(gray(after) / peak - values / top).max() <= 2 / peak


def test_comments_are_kept_and_provenance_is_one(tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.pgm", "P5", scene(), 255, "# scanned 1998\n# box 7\n")
    for wanted in (True, False):
        output = tmp_path / f"{wanted}.ppm"
        colorize(source, output, provenance=wanted)
        head = output.read_bytes()[:400]
        assert b"# scanned 1998\n# box 7\n" in head
        assert (DIGITAL_SOURCE_TYPE.encode() in head) is wanted
        assert np.abs(gray(np.asarray(Image.open(output))) - scene()).max() <= 1


def test_comments_anywhere_in_the_header_of_a_plain_file(tmp_path: Path, colorize: Colorize) -> None:
    (tmp_path / "in.pgm").write_bytes(b"P2# one\n3 # two 9 9\n# three\n2\n7# four\n0 1 2\n3 5 7 # end\n")
    colorize(tmp_path / "in.pgm", tmp_path / "out.ppm")
    expected = np.array([[0, 1, 2], [3, 5, 7]]) * 255 // 7
    assert np.abs(gray(load(tmp_path / "out.ppm")) - expected).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_round_trip_through_png(depth: int, tmp_path: Path, colorize: Colorize) -> None:
    """Color that is there is not touched on the way to PNG and back."""
    color = color_scene(peak=(1 << depth) - 1)
    source = written(tmp_path / "in.ppm", "P6", color, (1 << depth) - 1)
    assert colorize(source, tmp_path / "middle.png").action == "copied"
    colorize(tmp_path / "middle.png", tmp_path / "out.ppm")
    assert (load(tmp_path / "out.ppm") == color).all()
    with NETPBM.open(tmp_path / "out.ppm") as (page,):
        assert (page.raster.array() == color).all()


BROKEN = {
    "truncated": b"P5 30 20 255\n" + bytes(599),
    "truncated plain": b"P2 30 20 255\n" + b"1 " * 599,
    "too few plain samples": b"P2 2 2 255\n" + b"100 100 100     ",
    "words": b"P2 2 2 255\n1 2 3 four",
    "no size": b"P5\n",
    "no width": b"P5 0 20 255\n" + bytes(10),
    "highest value 0": b"P5 2 2 0\n" + bytes(4),
    "highest value 70000": b"P5 2 2 70000\n" + bytes(8),
    "sample too high": b"P5 2 2 100\n" + b"\x00\x10\x20\xf0",
    "negative": b"P2 2 2 255\n1 2 3 -4",
    "two images": b"P5 2 2 255\n" + bytes(4) + b"P5 2 2 255\n" + bytes(4),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_files_are_named(content: bytes, tmp_path: Path, colorize: Colorize) -> None:
    (tmp_path / "in.pgm").write_bytes(content)
    with pytest.raises(InputError, match=r"in\.pgm: .*; "):
        colorize(tmp_path / "in.pgm", tmp_path / "out.ppm")


@pytest.mark.parametrize("magic", [b"P2", b"P5"])
def test_a_bomb_is_refused(magic: bytes, tmp_path: Path, colorize: Colorize) -> None:
    (tmp_path / "in.pgm").write_bytes(magic + b" 60000 60000 255\n" + b"0 " * 100)
    with pytest.raises(RefusedError, match="3,600,000,000 pixels"):
        colorize(tmp_path / "in.pgm", tmp_path / "out.ppm")


def test_pgm_cannot_hold_color(tmp_path: Path, colorize: Colorize) -> None:
    source = written(tmp_path / "in.pgm", "P5", scene(), 255)
    with pytest.raises(UsageError, match="PGM cannot hold color; use ppm"):
        colorize(source, tmp_path / "out.pgm")


def test_folders_and_pipes(tmp_path: Path, toy_model: Path) -> None:
    """In a folder NAME.pgm becomes NAME.ppm; a PGM piped in comes out as PPM."""
    folder = tmp_path / "scans"
    folder.mkdir()
    source = written(folder / "a.pgm", "P5", scene(), 255)
    written(folder / "b.pnm", "P5", scene(), 255)
    run = run_cli("run", folder, "-o", tmp_path / "out", "--model", toy_model, "--json")
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["a.ppm", "b.pnm"]
    assert {event["output"] for event in events(run.stdout) if event["event"] == "done"} == {
        str(tmp_path / "out" / name) for name in ("a.ppm", "b.pnm")
    }
    piped = run_cli("run", "-", "-o", "-", "--model", toy_model, stdin=source.read_bytes())
    decoded = cv2.imdecode(np.frombuffer(piped.stdout, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.abs(gray(decoded[:, :, ::-1]) - scene()).max() <= 1


def test_the_command_line_says_which_suffix_to_use(tmp_path: Path, toy_model: Path) -> None:
    source = written(tmp_path / "a.pgm", "P5", scene(), 255)
    for flags in (("-o", tmp_path / "b.pgm"), ("-o", "-", "--format", "pgm")):
        run = run_cli("run", source, *flags, "--model", toy_model)
        assert run.returncode == 2
        assert b"PGM cannot hold color; use ppm instead" in b" ".join(run.stderr.split())
    written(tmp_path / "a.ppm", "P6", np.stack([scene()] * 3, axis=2), 255)
    run = run_cli("run", source, tmp_path / "a.ppm", "-o", tmp_path / "out", "--model", toy_model)
    assert run.returncode == 2, "both would be written to a.ppm"
