"""`--salvage`: damaged JPEGs are colorized as far as libjpeg reads them, which is noted everywhere."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support.cli import events, run_cli
from support.images import gray
from support.scenes import Colorize, color_scene, scene

from colorcli.errors import InputError
from colorcli.images.codecs.jpeg import turbojpeg
from colorcli.options import RunOptions

pytestmark = pytest.mark.skipif(turbojpeg.turbo is None, reason="turbojpeg is not installed")

KINDS = {
    "gray": ("L", {}),
    "color": ("RGB", {"subsampling": 2}),
    "progressive": ("RGB", {"progressive": True}),
    "restarts": ("L", {"restart_marker_rows": 1}),
}


def whole(kind: str, pixels: np.ndarray | None = None) -> bytes:
    mode, options = KINDS[kind]
    target = io.BytesIO()
    Image.fromarray(scene(200, 300) if pixels is None else pixels).convert(mode).save(
        target, "JPEG", quality=90, **options
    )
    return target.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_luma_that_can_be_read_stays(kind: str, tmp_path: Path, colorize: Colorize) -> None:
    data = whole(kind)
    source = tmp_path / "in.jpg"
    source.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(InputError, match="truncated"):
        colorize(source, tmp_path / "out.jpg")
    notes: list[str] = []
    colorize(source, tmp_path / "out.jpg", options=RunOptions(salvage=True), on_note=notes.append)
    with Image.open(tmp_path / "out.jpg") as after:
        shown = np.asarray(after.convert("RGB"))
        assert b"salvaged" in after.info["comment"]
    readable = shown if kind == "progressive" else shown[:90]
    intact = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)[: len(readable)]
    apart = np.abs(gray(readable) - intact)
    assert apart.mean() < 20 if kind == "progressive" else apart.max() <= 1
    assert notes[0].startswith("damaged, salvaged")


def test_salvage_is_not_offered_where_there_is_no_picture(tmp_path: Path, colorize: Colorize) -> None:
    (tmp_path / "in.jpg").write_bytes(whole("color")[:100])
    with pytest.raises(InputError, match="no picture inside") as refused:
        colorize(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert "--salvage" not in str(refused.value)


def test_a_marker_inside_of_the_scan_ends_it(tmp_path: Path, colorize: Colorize) -> None:
    data = bytearray(whole("color"))
    data[len(data) // 2 : len(data) // 2 + 4] = b"\xff\xc4\0\1"
    (tmp_path / "in.jpg").write_bytes(data)
    colorize(tmp_path / "in.jpg", tmp_path / "out.jpg", options=RunOptions(salvage=True))
    intact = cv2.imdecode(np.frombuffer(whole("color"), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(gray(np.asarray(Image.open(tmp_path / "out.jpg")))[:80] - intact[:80]).max() <= 1


def test_sound_files_are_not_touched(tmp_path: Path, colorize: Colorize) -> None:
    (tmp_path / "in.jpg").write_bytes(whole("color", color_scene(200, 300)))
    assert (
        colorize(tmp_path / "in.jpg", tmp_path / "out.jpg", options=RunOptions(salvage=True)).action
        == "copied"
    )
    assert (tmp_path / "out.jpg").read_bytes() == (tmp_path / "in.jpg").read_bytes()


def test_the_command_line_says_so(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "in.jpg").write_bytes(whole("gray")[:5000])
    (tmp_path / "head.jpg").write_bytes(whole("gray")[:100])
    inputs = (tmp_path / "in.jpg", tmp_path / "head.jpg")
    arguments = ("-o", tmp_path / "out", "--model", toy_model, "--salvage", "--report", tmp_path / "r.html")
    run = run_cli("run", *inputs, *arguments, "--json")
    assert run.returncode == 1
    kinds = {event["event"]: event for event in events(run.stdout)}
    assert "salvaged" in kinds["note"]["message"]
    assert "broken frame header" in kinds["failed"]["cause"]
    assert "salvaged" in (tmp_path / "r.html").read_text()
