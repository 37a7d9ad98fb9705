"""Hint files: their formats, the position of their hints, and errors for invalid ones."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from colorcli.color.hints import parse_color, read_hints
from colorcli.color.ycbcr import ycbcr_from_rgb
from colorcli.errors import ColorcliError, ExitCode, InputError, UsageError

SHAPE, SMALL = (600, 800), (150, 200)
CRIMSON = (220, 20, 60)


def chroma_of(rgb: tuple[int, int, int]) -> np.ndarray:
    return ycbcr_from_rgb(np.array(rgb).reshape(3, 1, 1) / 255)[1][:, 0, 0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"x": 400, "y": 100, "color": "#dc143c"}]'),
        ("a.json", '[{"x": 400, "y": 100, "color": "crimson"}]'),
        ("a.json", '[{"x": 400.5, "y": 100.2, "color": [220, 20, 60]}]'),
        ("a.csv", "x,y,color\n400,100,#dc143c\n"),
        ("a.csv", "400,100,crimson\n\n"),
        ("a.csv", "X, Y, Color\n400, 100, crimson\n"),
        ("a.csv", "x,y,color\n400,100,220,20,60\n"),
        ("a.csv", '400,100,"220, 20, 60"\r\n'),
        ("a.CSV", "\ufeffx,y,color\n400,100,CRIMSON\n"),
    ],
)
def test_all_notations_give_the_same_hints(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    hints = read_hints(tmp_path / name).on(SHAPE, SMALL)
    assert hints.mask.shape == SMALL
    assert hints.chroma.shape == (2, *SMALL)
    rows, columns = np.nonzero(hints.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (23, 27, 98, 102)
    assert hints.chroma[:, 25, 100] == pytest.approx(chroma_of(CRIMSON), abs=1e-6)


@pytest.mark.parametrize("text", ["", "#12345", "reddish", "1,2", "1,2,3,4", "1,2,300", "-1,2,3", "1,2,x"])
def test_invalid_colors_are_errors(text: str) -> None:
    with pytest.raises(ValueError):
        parse_color(text)


def test_points_in_the_corners_stay_inside(tmp_path: Path) -> None:
    corners = [{"x": x, "y": y, "color": "teal"} for x in (0, 799) for y in (0, 599)]
    (tmp_path / "h.json").write_text(json.dumps(corners))
    mask = read_hints(tmp_path / "h.json").on(SHAPE, SMALL).mask
    assert mask[0, 0] == mask[0, -1] == mask[-1, 0] == mask[-1, -1] == 1
    assert mask.sum() == 4 * 9


def test_no_neighbors_patch_covers_a_point(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("100,100,red\n104,100,blue\n")
    hints = read_hints(tmp_path / "h.csv").on(SHAPE, SMALL)
    assert hints.chroma[:, 25, 25] == pytest.approx(chroma_of((255, 0, 0)))
    assert hints.chroma[:, 25, 26] == pytest.approx(chroma_of((0, 0, 255)))


def painted_layer(path: Path, shape: tuple[int, int] = SHAPE, depth: type = np.uint8) -> Path:
    """A crimson bar on a transparent layer whose invisible pixels are green."""
    peak = np.iinfo(depth).max
    layer = np.zeros((*shape, 4), depth)
    layer[..., 1] = peak
    rows, columns = slice(shape[0] // 4, shape[0] // 2), slice(shape[1] // 4, shape[1] // 2)
    layer[rows, columns] = (np.array([*CRIMSON[::-1], 255]) / 255 * peak).astype(depth)
    cv2.imwrite(str(path), layer)
    return path


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [SHAPE, SMALL, (300, 400)])
def test_painted_pixels_are_the_hints(shape: tuple[int, int], depth: type, tmp_path: Path) -> None:
    hints = read_hints(painted_layer(tmp_path / "h.png", shape, depth)).on(SHAPE, SMALL)
    expected = np.zeros(SMALL)
    expected[37:75, 50:100] = 1
    assert np.abs(hints.mask - expected)[38:].max() == 0
    # No green of the transparent pixels may have bled in, not even at the rim.
    painted = hints.chroma[:, hints.mask > 0]
    assert painted == pytest.approx(chroma_of(CRIMSON)[:, None].repeat(painted.shape[1], 1), abs=1e-3)


def test_thin_strokes_survive_the_reduction(tmp_path: Path) -> None:
    layer = np.zeros((3000, 4000, 4), np.uint8)
    layer[1500, 500:3500] = (0, 0, 255, 255)
    cv2.imwrite(str(tmp_path / "h.png"), layer)
    assert read_hints(tmp_path / "h.png").on((3000, 4000), SMALL).mask[75, 30:170].all()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("h.txt", b"1,2,red", "not a hint file"),
        ("h.json", b'[\n{"x": 1,\n', "line 3: not JSON"),
        ("h.json", b"7", "not a list of hints"),
        ("h.json", b'{"x": 1, "y": 2, "color": "red"}', "not a list of hints"),
        ("h.json", b"[7]", r"hint 1 \(line 1\): not an object"),
        ("h.json", b"[]", "holds no hints"),
        ("h.json", b'[{"x": 1, "y": 2}]', r"hint 1 \(line 1\): color is missing"),
        ("h.json", b'[{"x": 1, "y": 2, "color": 7}]', r"hint 1 \(line 1\): 7 is not a color"),
        (
            "h.json",
            b'\n[{"x": 1, "y": 1,\n"color": "red"},\n\n {"x": "left", "y": 2, "color": "red"}]',
            r"hint 2 \(line 5\): x is",
        ),
        ("h.json", b"\xff\xfe\x00", "not UTF-8|not JSON"),
        ("h.csv", b"x,y,color\n", "holds no hints"),
        ("h.csv", b"1,2,reddish\n", "line 1: 'reddish' is not a color"),
        ("h.csv", b"x,y,color\n1,2,red\n3\n", "line 3: y is missing"),
        ("h.csv", b"1,2\n", "line 1: color is missing"),
        ("h.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("h.png", b"", "not a readable PNG"),
        ("h.png", b"\x89PNG and no more", "not a readable PNG"),
    ],
)
def test_invalid_files_are_named(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        read_hints(write(tmp_path / name, content)).on(SHAPE, SMALL)
    check_message(caught.value, name)
    assert caught.value.exit_code == ExitCode.USAGE


def check_message(error: ColorcliError, name: str) -> None:
    assert name in str(error)
    assert "\n" not in str(error)
    assert error.remedy


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        read_hints(tmp_path / "none.json").on(SHAPE, SMALL)


@pytest.mark.parametrize("point", ["800,1", "1,600", "-1,1", "nan,1"])
def test_points_outside_the_picture(point: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"of .*h\.csv lies outside its 800x600 pixels"):
        read_hints(write(tmp_path / "h.csv", f"{point},red".encode())).on(SHAPE, SMALL)


def test_painted_for_another_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not fit"):
        read_hints(painted_layer(tmp_path / "h.png", (800, 600))).on(SHAPE, SMALL)


@pytest.mark.parametrize(("alpha", "says"), [(255, "no transparent background"), (0, "nothing is painted")])
def test_all_or_nothing_painted(alpha: int, says: str, tmp_path: Path) -> None:
    layer = np.full((60, 80, 4), alpha, np.uint8)
    cv2.imwrite(str(tmp_path / "h.png"), layer)
    with pytest.raises(UsageError, match=says):
        read_hints(tmp_path / "h.png").on(SHAPE, SMALL)


def test_a_picture_without_alpha_is_refused_as_hints(tmp_path: Path) -> None:
    for content in (np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), np.uint8)):
        cv2.imwrite(str(tmp_path / "h.png"), content)
        with pytest.raises(UsageError, match="no transparent background"):
            read_hints(tmp_path / "h.png").on(SHAPE, SMALL)
