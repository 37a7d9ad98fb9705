"""Names of outputs by templates and --format, chosen inputs, and files that belong to another one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli import events, run_cli
from support.scenes import scene
from support.videos import gray, make

from colorcli.errors import UsageError
from colorcli.events import Event, Note
from colorcli.jobs.naming import EVERYTHING, Naming, Selection, check_template, fill, sidecars
from colorcli.jobs.plan import make_plan
from colorcli.options import RunOptions


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n")


def planned(
    inputs: list[Path], output: Path, selection: Selection = EVERYTHING, **options: str
) -> dict[str, str]:
    """Name of each source -> its output."""
    plan = make_plan(inputs, output, RunOptions(**options), lambda event: None, selection=selection)
    return {job.source.name: job.output.as_posix() for job in plan}


def test_a_template_names_outputs(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.png", tmp_path / "in/deep/er/b.tif", tmp_path / "in/c.pgm")
    template = tmp_path / "out/{parent}/{stem}_color{ext}"
    out = (tmp_path / "out").as_posix()
    expected = {
        "a.png": f"{out}/a_color.png", "b.tif": f"{out}/deep/er/b_color.tif", "c.pgm": f"{out}/c_color.ppm",
    }  # fmt: skip
    assert planned([tmp_path / "in"], template) == expected
    named = planned([tmp_path / "in/a.png"], template)
    assert named == {"a.png": f"{out}/a_color.png"}


def test_braces_that_name_no_field_stay() -> None:
    assert fill("{x}/{stem}{ext}", Path("in/a.png"), ".jpg") == Path("{x}/a.jpg")
    assert fill("{name}", Path("in/a.png"), ".jpg") == Path("a.jpg")


def test_the_parent_of_what_lies_directly_in_the_input_folder_is_empty() -> None:
    assert fill("{parent}/{name}", Path("a.png"), ".png") == Path("a.png")
    assert fill("x{parent}_{name}", Path("a.png"), ".png") == Path("x_a.png")
    assert fill("x{parent}_{name}", Path("deep/a.png"), ".png") == Path("xdeep_a.png")


def test_clashes_of_a_template_are_found(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "a.tif")
    with pytest.raises(UsageError, match="both"):
        planned([tmp_path / "a.png", tmp_path / "a.tif"], tmp_path / "out/{stem}.png")


@pytest.mark.parametrize(
    ("suffix", "image", "film"),
    [("", "a.tif", "b.mov"), (".jpg", "a.jpg", "b.mov"), (".mkv", "a.tif", "b.mkv")],
)
def test_a_format_is_for_all_inputs_of_its_kind(suffix: str, image: str, film: str) -> None:
    naming = Naming(suffix=suffix)
    assert naming(Path("a.tif")) == Path(image)
    assert naming(Path("b.mov")) == Path(film)


def test_a_format_that_contradicts_the_output_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    with pytest.raises(UsageError, match="contradicts"):
        planned([tmp_path / "a.png"], tmp_path / "b.png", format="jpg")
    assert planned([tmp_path / "a.png"], tmp_path / "b.jpeg", format="jpg")
    with pytest.raises(UsageError, match="no format"):
        planned([tmp_path / "a.png"], tmp_path / "out", format="xyz")


def test_a_file_name_is_no_folder_for_several_inputs(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(UsageError, match="file's name"):
        planned([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "x.jpg")
    assert not (tmp_path / "x.jpg").exists()


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        (["*.tif"], [], {"a.TIF", "b.tif"}),
        ([], ["deep"], {"a.TIF", "c.png"}),
        ([], ["*.tif", "deep/*"], {"c.png"}),
        (["deep/*"], ["b.*"], {"d.png"}),
    ],
)
def test_inputs_can_be_chosen(tmp_path: Path, include: list[str], exclude: list[str], left: set[str]) -> None:
    names = ("a.TIF", "deep/b.tif", "c.png", "deep/d.png")
    touch(*(tmp_path / "in" / name for name in names))
    chosen = Selection(include, exclude)
    assert set(planned([tmp_path / "in"], tmp_path / "out", chosen)) == left
    files = [tmp_path / "in" / name for name in ("a.TIF", "c.png")]
    assert set(planned(files, tmp_path / "out", Selection(["*.tif"]))) == {"a.TIF"}


def test_files_beside_an_image_belong_to_it(tmp_path: Path) -> None:
    names = ["scan.tif", "scan.hints.json", "scan.Reference.JPG", "other.reference.png", "hints.json"]
    assert sidecars(names) == {"scan.tif": ["scan.hints.json", "scan.Reference.JPG"]}
    touch(*(tmp_path / "in" / name for name in names))
    everything = {"scan.tif", "other.reference.png"}
    assert set(planned([tmp_path / "in"], tmp_path / "out")) == everything
    globbed = [tmp_path / "in" / name for name in names if name != "hints.json"]
    assert set(planned(globbed, tmp_path / "out")) == everything


def test_an_empty_folder_is_noted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    reported: list[Event] = []
    assert list(make_plan([tmp_path / "in"], tmp_path / "out", RunOptions(), reported.append)) == []
    assert [event.input for event in reported if isinstance(event, Note)] == [str(tmp_path / "in")]


def test_hints_beside_a_picture_color_it_alone(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("with.png", "without.png"):
        Image.fromarray(scene(60, 80)).save(tmp_path / "in" / name)
    hint = [{"x": 40, "y": 30, "color": "#ff0000"}]
    (tmp_path / "in" / "with.hints.json").write_text(json.dumps(hint))
    done = run_cli("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--json")
    assert done.returncode == 0, done.stderr
    notes = [event["input"] for event in events(done.stdout) if event["event"] == "note"]
    assert [Path(note).name for note in notes] == ["with.png"]
    one, other = (np.asarray(Image.open(tmp_path / "out" / n)) for n in ("with.png", "without.png"))
    assert not np.array_equal(one, other)
    hinted = tmp_path / "hinted.png"
    run_cli(
        "run", tmp_path / "in/without.png", "-o", hinted, "--model", toy_model,
        "--hints", tmp_path / "in/with.hints.json",
    )  # fmt: skip
    assert np.array_equal(np.asarray(Image.open(hinted)), one)


def test_options_that_cannot_be_used_are_refused(tmp_path: Path, toy_model: Path) -> None:
    Image.fromarray(scene(60, 80)).save(tmp_path / "a.png")
    common = ("--model", toy_model, "-o")
    for flags, says in ((["--shots", "s.csv"], b"--shots"), (["--no-stabilize"], b"--no-stabilize")):
        done = run_cli("run", tmp_path / "a.png", *common, tmp_path / "b.png", *flags)
        assert (done.returncode, says in done.stderr) == (2, True)
    done = run_cli("run", tmp_path, *common, tmp_path.with_name("out"), "--crf", "20")
    assert (done.returncode, b"--crf: had no effect" in done.stderr) == (0, True)


def test_shot_lists_of_several_films_are_kept_apart(tmp_path: Path, toy_model: Path) -> None:
    films = [make(tmp_path / f"{name}.mkv", *gray(0.2, "64x48"), "-c:v", "ffv1") for name in "ab"]
    common = ("run", *films, "-o", tmp_path / "out", "--model", toy_model)
    for flag in ("--shots", "--contact-sheet"):
        done = run_cli(*common, flag, tmp_path / "one.png")
        assert done.returncode == 2
        assert b"'{stem}." in done.stderr
    done = run_cli(
        *common, "--shots", tmp_path / "{stem}.csv", "--contact-sheet", tmp_path / "sheets/{stem}.png"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.rglob("[ab].[cp]*")) == ["a.csv", "a.png", "b.csv", "b.png"]


@pytest.mark.parametrize("flag", ["--shots", "--contact-sheet"])
def test_what_a_pipe_cannot_write_is_refused(tmp_path: Path, toy_model: Path, flag: str) -> None:
    film = make(tmp_path / "a.mkv", *gray(0.2, "64x48"), "-c:v", "ffv1")
    done = run_cli("run", film, "-o", "-", "--model", toy_model, flag, tmp_path / "x.png")
    assert (done.returncode, done.stdout) == (2, b"")
    assert flag.encode() in done.stderr


@pytest.mark.parametrize("output", ["{nope}.jpg", "color/{stem", "{parent}/x}/{stem}.jpg"])
def test_a_brace_that_belongs_to_no_field_is_refused(output: str) -> None:
    with pytest.raises(UsageError, match="not a template"):
        check_template(Path(output))
