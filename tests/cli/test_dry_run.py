"""A dry run finds what a run would do, by looking into the files, and writes nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.broken import BROKEN, write_all
from support.cli import events, run_cli
from support.scenes import scene
from support.videos import gray, make


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray image, a color image, one in 16 bits, broken ones, and a film of each kind."""
    folder = tmp_path_factory.mktemp("archive")
    Image.fromarray(scene(60, 80)).save(folder / "gray.png")
    colors = np.random.default_rng(3).integers(0, 255, (6, 8, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    Image.fromarray(colors).save(folder / "color.png")
    make(folder / "gray.mkv", *gray(0.4, "64x48"), "-c:v", "ffv1")
    make(folder / "color.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.4", "-c:v", "ffv1")
    write_all(folder / "bad", BROKEN)
    return folder


def test_a_dry_run_says_what_the_run_does(tmp_path: Path, toy_model: Path, archive: Path) -> None:
    common = ("run", archive, "-o", tmp_path / "out", "--model", toy_model)
    dry = run_cli(*common, "--dry-run")
    rows = [line.split("\t") for line in dry.stdout.decode().splitlines()]
    assert not (tmp_path / "out").exists()
    assert b"would take" in dry.stderr
    real = run_cli(*common, "--json")
    assert dry.returncode == real.returncode == 1
    words = {"colorized": "color", "copied": "copy"}
    expected = {
        (words.get(event.get("action"), "fail"), event["input"])
        for event in events(real.stdout)
        if event["event"] in ("done", "failed")
    }
    assert {(action, source) for action, source, _ in rows} == expected
    assert ("copy", str(archive / "color.mkv")) in expected


def test_a_dry_run_estimates_in_its_summary(tmp_path: Path, toy_model: Path, archive: Path) -> None:
    inputs = [archive / name for name in ("gray.png", "color.png", "gray.mkv")]
    done = run_cli("run", *inputs, "-o", tmp_path / "out", "--model", toy_model, "--dry-run", "--json")
    last = events(done.stdout)[-1]
    assert (done.returncode, last["colorized"], last["exit_code"]) == (0, 0, 0)
    found = last["dry_run"]
    assert (found["images"], found["pixels"], found["to_copy"]) == (1, 60 * 80, 1)
    assert (found["films"], found["frames"]) == (1, 10)
    assert found["seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_names_with_line_breaks_take_one_line(tmp_path: Path, toy_model: Path) -> None:
    folder = tmp_path / "in" / "two\nlines"
    folder.mkdir(parents=True)
    Image.fromarray(scene(60, 80)).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"no picture")
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model)
    rows = [line.split("\t") for line in run_cli(*common, "--dry-run").stdout.decode().splitlines()]
    found = {(action, Path(source).name) for action, source, _ in rows}
    assert found == {("color", "a.png"), ("fail", "b.png")}
    assert rb"two\nlines/b.png: " in run_cli(*common).stderr


def test_a_dry_run_leaves_standard_output_and_lists_alone(
    tmp_path: Path, toy_model: Path, archive: Path
) -> None:
    common = ("run", archive / "gray.mkv", "--model", toy_model, "--dry-run")
    piped = run_cli(*common, "-o", "-")
    assert piped.stdout.decode() == f"color\t{archive / 'gray.mkv'}\t-\n"
    run_cli(
        *common,
        "-o",
        tmp_path / "x.mkv",
        "--shots",
        tmp_path / "s.csv",
        "--contact-sheet",
        tmp_path / "c.png",
    )
    assert list(tmp_path.iterdir()) == []
