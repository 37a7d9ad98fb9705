"""Camera raw: the developed picture becomes a TIFF of 16 bits."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from support.cli import events, run_cli
from support.images import gray
from support.scenes import Colorize, scene

rawpy = pytest.importorskip("rawpy", reason="rawpy is not installed")

from colorcli.images.codecs.raw import DEVELOPED, SRGB_CURVE  # noqa: E402

CFA, LINEAR = 32803, 34892
ASCII, BYTE, SHORT, LONG, RATIONAL, SIGNED_RATIONAL = 2, 1, 3, 4, 5, 10


def written(path: Path, pixels: np.ndarray, *, mosaic: bool = False, orientation: int = 1) -> Path:
    """A DNG of a monochrome sensor, or of one with a mosaic of color filters (Adobe DNG specification)."""
    tags = [
        (50706, BYTE, 4, (1, 4, 0, 0)), (50708, ASCII, 0, "Test camera"), (271, ASCII, 0, "Maker"),
        (270, ASCII, 0, "Glass plate 12"), (274, SHORT, 1, orientation), (50717, LONG, 1, 65535),
    ]  # fmt: skip
    if mosaic:
        tags += [
            (33421, SHORT, 2, (2, 2)), (33422, BYTE, 4, (0, 1, 1, 2)), (50728, RATIONAL, 3, (1,) * 6),
            (50721, SIGNED_RATIONAL, 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)),
        ]  # fmt: skip
    extra = [(*tag, True) for tag in tags]
    tifffile.imwrite(path, pixels, photometric=CFA if mosaic else 1, extratags=extra, metadata=None)
    if not mosaic:
        with tifffile.TiffFile(path, mode="r+b") as file:
            file.pages[0].tags[262].overwrite(LINEAR)
    return path


def developed(path: Path) -> np.ndarray:
    with rawpy.imread(str(path)) as raw:
        return raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=SRGB_CURVE)


@pytest.mark.parametrize("mosaic", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_developed_picture_keeps_its_gray(
    mosaic: bool, orientation: int, tmp_path: Path, colorize: Colorize
) -> None:
    source = written(tmp_path / "in.dng", scene(96, 128, 65535), mosaic=mosaic, orientation=orientation)
    notes: list[str] = []
    colorize(source, tmp_path / "out.tif", recolor=True, on_note=notes.append)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        after, tags = file.asarray(), file.pages[0].tags
        assert tags["ImageDescription"].value == "Glass plate 12"
        assert tags["Orientation"].value == 1  # pixels are turned
    assert after.dtype == np.uint16
    assert after.shape[:2] == ((96, 128) if orientation == 1 else (128, 96))
    tolerance = 2 if mosaic else 1  # gray of three channels is rounded twice
    assert np.abs(gray(after) - gray(developed(source))).max() <= tolerance
    assert notes == [DEVELOPED]


def test_a_folder_gets_tiffs(tmp_path: Path, toy_model: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir()
    written(folder / "a.dng", scene(96, 128, 65535))
    (folder / "b.nef").write_bytes(b"MM\0*" + bytes(100))
    run = run_cli("run", folder, "-o", tmp_path / "out", "--model", toy_model, "--json")
    by_kind = {event["event"]: event for event in events(run.stdout)}
    assert by_kind["done"]["output"] == str(tmp_path / "out" / "a.tif")
    assert "damaged camera raw" in by_kind["failed"]["cause"]
    assert run.returncode == 1
