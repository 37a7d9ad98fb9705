"""The Python API: the examples of its documentation, and its promises on arrays."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support import stand_ins
from support.scenes import scene

import colorcli
from colorcli import (
    Colorizer,
    InputError,
    RefusedError,
    SetupError,
    UsageError,
    colorize_image,
    colorize_video,
)

ROOT = Path(__file__).parents[1]
PHOTOGRAPH = ROOT / "examples" / "within_our_gates_1920.jpg"
CLIP = ROOT / "examples" / "market_street_1906.mkv"
WEIGHTS = np.array([0.299, 0.587, 0.114])


def gray_of(rgb: NDArray[Any]) -> NDArray[Any]:
    return rgb.astype(np.float64) @ WEIGHTS


@pytest.fixture(scope="module")
def colorizer(toy_model: Path) -> Iterator[Colorizer]:
    with Colorizer(toy_model) as opened:
        yield opened


def test_the_kind_of_an_adopted_model_can_be_given_and_a_closed_one_is_refused(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "m.onnx", "deoldify")
    picture = np.full((64, 64), 128, np.uint8)
    with pytest.raises(SetupError, match="several kinds"):
        Colorizer(model)
    with Colorizer(model, model_kind="deoldify") as colorizer:
        color = colorizer.colorize(picture).astype(float)
    assert np.abs(color - 255 * (128 / 255 + stand_ins.SHIFT)).mean() < 4
    with pytest.raises(ValueError, match="closed"):
        colorizer.colorize(picture)


def test_everything_public_can_be_imported() -> None:
    for name in colorcli.__all__:
        assert getattr(colorcli, name) is not None
    with pytest.raises(AttributeError):
        colorcli.nothing_of_this_name  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "onnxruntime", "cv2", "av", "PIL", "tifffile", "numpy", "typer"}
    code = f"import sys, colorcli; sys.exit(str({heavy} & set(sys.modules) or '') or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(PHOTOGRAPH, "street.jpg")
    shutil.copyfile(CLIP, "film.mkv")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save("postcard.jpg")
    gray = np.asarray(Image.open(PHOTOGRAPH).convert("L"))
    namespace: dict[str, Any] = {"gray": gray}
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "api.md").read_text(), re.S | re.M)
    assert len(blocks) >= 5
    for block in blocks:
        exec(block, namespace)
    assert namespace["color"].shape == (*gray.shape, 3)
    assert Path("street_color.jpg").exists()
    with av.open("film_color.mkv") as film:
        assert sum(1 for _ in film.decode(video=0)) == 12


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(48, 64), (200, 131), (1, 1), (1, 90), (40, 50, 3)])
def test_gray_and_type_are_kept(shape: tuple[int, ...], kind: type, colorizer: Colorizer) -> None:
    picture = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    color = colorizer.colorize(picture)
    assert color.shape == (*shape[:2], 3)
    assert color.dtype == kind
    gray = picture if picture.ndim == 2 else gray_of(picture)
    assert np.abs(gray_of(color) - gray).max() <= 1


def test_arrays_and_files_get_the_same_colors(tmp_path: Path, colorizer: Colorizer, toy_model: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "gray.png")
    outcome = colorize_image(tmp_path / "gray.png", tmp_path / "color.png", model=toy_model)
    assert outcome.action == "colorized"
    from_file = np.asarray(Image.open(tmp_path / "color.png"))
    assert np.array_equal(colorizer.colorize(scene()), from_file)
    assert np.array_equal(colorizer.colorize(Image.open(tmp_path / "gray.png")), from_file)


def test_colors_of_an_rgb_picture_are_ignored(colorizer: Colorizer) -> None:
    gray = scene()
    assert np.array_equal(colorizer.colorize(np.stack([gray] * 3, axis=2)), colorizer.colorize(gray))


def test_hints_are_points_or_a_file(tmp_path: Path, colorizer: Colorizer) -> None:
    (tmp_path / "hints.csv").write_text("x,y,color\n30,20,#c02020\n")
    by_file = colorizer.colorize(scene(), hints=tmp_path / "hints.csv")
    assert np.array_equal(colorizer.colorize(scene(), hints=[(30, 20, "#c02020")]), by_file)
    assert np.array_equal(colorizer.colorize(scene(), hints=[(30, 20, (192, 32, 32))]), by_file)
    plain = colorizer.colorize(scene())
    assert by_file[20, 30, 0] > plain[20, 30, 0] + 10, "the hint is red"
    with pytest.raises(InputError, match="outside"):
        colorizer.colorize(scene(), hints=[(5000, 20, "red")])
    with pytest.raises(ValueError, match="reddish"):
        colorizer.colorize(scene(), hints=[(30, 20, "reddish")])


def test_references_are_arrays_or_files(tmp_path: Path, colorizer: Colorizer) -> None:
    reference = np.random.default_rng(2).integers(0, 255, (60, 80, 3), np.uint8)
    Image.fromarray(reference).save(tmp_path / "reference.png")
    by_file = colorizer.colorize(scene(), reference=tmp_path / "reference.png")
    assert np.array_equal(colorizer.colorize(scene(), reference=reference), by_file)
    with pytest.raises(ValueError, match="color picture"):
        colorizer.colorize(scene(), reference=scene())
    with pytest.raises(UsageError, match=r"none\.png"):
        colorizer.colorize(scene(), reference=tmp_path / "none.png")


@pytest.mark.parametrize(
    ("picture", "error", "says"),
    [
        (np.zeros((3, 4, 5), np.uint8), ValueError, r"\[3, 4, 5\]"),
        (np.zeros((2, 3, 4, 5), np.uint8), ValueError, r"\[2, 3, 4, 5\]"),
        (np.zeros((0, 4), np.uint8), ValueError, r"\[0, 4\]"),
        (np.zeros(7, np.uint8), ValueError, r"\[7\]"),
        (np.zeros((3, 4), np.float32), TypeError, "float32"),
        (np.zeros((3, 4), bool), TypeError, "bool"),
        ("picture.png", TypeError, "colorize_image"),
        (Image.new("CMYK", (4, 4)), ValueError, "CMYK"),
    ],
)
def test_wrong_pictures_are_named(
    picture: Any, error: type[Exception], says: str, colorizer: Colorizer
) -> None:
    with pytest.raises(error, match=says):
        colorizer.colorize(picture)


def test_wrong_options_are_named(tmp_path: Path, colorizer: Colorizer) -> None:
    with pytest.raises(ValueError, match="saturation is 5"):
        Colorizer(saturation=5)
    with pytest.raises(ValueError, match="size is 8"):
        colorize_image(PHOTOGRAPH, tmp_path / "out.jpg", size=8)
    with pytest.raises(TypeError, match="saturatoin"):
        colorize_image(PHOTOGRAPH, tmp_path / "out.jpg", saturatoin=1)
    with pytest.raises(ValueError, match=r"perhaps.*refuse, skip, overwrite, resume"):
        colorize_image(PHOTOGRAPH, tmp_path / "out.jpg", existing="perhaps")
    wrong: list[dict[str, Any]] = [
        {"saturation": "much"}, {"size": 100.5}, {"recolor": "yes"}, {"jobs": True}, {"crf": "low"},
        {"hints": [(1, 2, "red")]}, {"device": None},
    ]  # fmt: skip
    for options in wrong:
        (name,) = options
        with pytest.raises(TypeError, match=f"{name} is .*, not of type"):
            colorize_image(PHOTOGRAPH, tmp_path / "out.jpg", **options)
    for hint in ((1, 2), ("a", 2, "red"), (1, 2, (0.5, 0.2, 0.1))):
        with pytest.raises(ValueError, match=r"not \(x, y, color\)"):
            colorizer.colorize(np.zeros((8, 8), np.uint8), hints=[hint])  # type: ignore[list-item]
    with pytest.raises(SetupError, match=r"none\.onnx"):
        Colorizer(tmp_path / "none.onnx")


def test_files_keep_the_promises_of_a_run(tmp_path: Path, toy_model: Path) -> None:
    out = tmp_path / "out.jpg"
    colorize_image(PHOTOGRAPH, out, model=str(toy_model))
    before = out.read_bytes()
    with pytest.raises(RefusedError, match="exists"):
        colorize_image(PHOTOGRAPH, out, model=toy_model)
    assert colorize_image(PHOTOGRAPH, out, model=toy_model, existing="skip").action == "skipped"
    assert out.read_bytes() == before
    (tmp_path / "broken.jpg").write_bytes(PHOTOGRAPH.read_bytes()[:300])
    with pytest.raises(InputError):
        colorize_image(tmp_path / "broken.jpg", tmp_path / "never.jpg", model=toy_model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.jpg", "out.jpg"]


def test_film_reports_its_progress(tmp_path: Path, toy_model: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    outcome = colorize_video(
        CLIP, tmp_path / "out.mkv", lambda *counts: seen.append(counts), model=toy_model, end="12f"
    )
    assert outcome.action == "colorized"
    assert outcome.facts["frames"] == 12
    assert seen
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_a_callback_raises_reaches_its_caller(tmp_path: Path, toy_model: Path) -> None:
    def give_up(done: int, total: int | None) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        colorize_video(CLIP, tmp_path / "out.mkv", give_up, model=toy_model, end="12f")
    assert not (tmp_path / "out.mkv").exists()


def test_each_function_says_which_one_to_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use colorize_video"):
        colorize_image(CLIP, tmp_path / "out.mkv")
    with pytest.raises(UsageError, match="use colorize_image"):
        colorize_video(PHOTOGRAPH, tmp_path / "out.jpg")
    with pytest.raises(UsageError, match="is a folder"):
        colorize_image(tmp_path, tmp_path / "out.jpg")
