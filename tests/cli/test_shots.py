"""`colorcli shots` and `colorcli refs` on a film of three shots."""

import csv
import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli import run_cli
from support.images import load, save
from support.videos import make, planes, run

from colorcli.video.reference_pictures import is_unchanged
from colorcli.video.references import find_references
from colorcli.video.shot_list import read_shots

SHOTS = [(0, 20), (20, 45), (45, 60)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three different gray patterns, each moving a little."""
    sources = ["testsrc2", "mandelbrot=start_scale=0.5", "smptehdbars"]
    inputs = []
    for source, (start, end) in zip(sources, SHOTS, strict=True):
        separator = ":" if "=" in source else "="
        inputs += ["-f", "lavfi", "-t", f"{(end - start) / 25}", "-i", f"{source}{separator}s=160x120:r=25"]
    return make(
        tmp_path_factory.mktemp("film") / "film.mkv", *inputs, "-filter_complex",
        "[0:v][1:v][2:v]concat=n=3,hue=s=0,format=yuv420p", "-c:v", "ffv1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def listed(film: Path) -> Path:
    """A folder with the shot list in every format."""
    for suffix in ("csv", "edl", "otio"):
        done = run_cli("shots", film, "-o", film.with_name(f"shots.{suffix}"))
        assert done.returncode == 0, done.stderr.decode()
    return film.parent


def test_its_own_shot_list_is_read_back(listed: Path) -> None:
    found = read_shots(listed / "shots.csv")
    assert [(shot.start, shot.end) for shot in found] == SHOTS
    assert not any(shot.skip for shot in found)


def test_the_csv_is_pyscenedetects(listed: Path) -> None:
    rows = list(csv.DictReader((listed / "shots.csv").read_text().splitlines()))
    assert [(int(row["Start Frame"]) - 1, int(row["End Frame"])) for row in rows] == SHOTS
    assert rows[1]["Start Timecode"] == "00:00:00.800"
    assert rows[1]["Length (seconds)"] == "1.000"


def test_pyscenedetect_reads_it(listed: Path) -> None:
    scenedetect = pytest.importorskip("scenedetect", reason="pip install scenedetect")
    command = [scenedetect.__name__, "-q", "-i", "film.mkv", "-o", "out", "load-scenes", "-i", "shots.csv"]
    import subprocess
    import sys

    command += ["list-scenes", "-f", "again.csv"]
    subprocess.run([sys.executable, "-m", *command], cwd=listed, check=True)
    found = read_shots(listed / "out" / "again.csv")
    assert [(shot.start, shot.end) for shot in found] == SHOTS


def test_a_scene_list_with_pyscenedetects_line_of_cuts_is_read(listed: Path, tmp_path: Path) -> None:
    path = tmp_path / "scenes.csv"
    path.write_text("Timecode List:,00:00:00.800\n" + (listed / "shots.csv").read_text())
    assert read_shots(path) == read_shots(listed / "shots.csv")


def test_the_edit_list_has_each_shot_at_its_place(listed: Path) -> None:
    events = re.findall(r"^\d+  AX       V     C        (.*)$", (listed / "shots.edl").read_text(), re.M)
    assert events[1].split() == ["00:00:00:20", "00:00:01:20"] * 2
    assert len(events) == len(SHOTS)


def test_the_timeline_has_each_shot_at_its_place(listed: Path) -> None:
    timeline = json.loads((listed / "shots.otio").read_text())
    (track,) = timeline["tracks"]["children"]
    ranges = [clip["source_range"] for clip in track["children"]]
    starts = [each["start_time"]["value"] for each in ranges]
    lengths = [each["duration"]["value"] for each in ranges]
    assert list(zip(starts, np.add(starts, lengths), strict=True)) == SHOTS


def test_an_existing_list_and_an_unknown_format_are_refused(film: Path, listed: Path) -> None:
    assert b"exists" in run_cli("shots", film, "-o", listed / "shots.csv").stderr
    assert b".csv, .edl or .otio" in run_cli("shots", film, "-o", listed / "shots.txt").stderr
    assert b"is a file" in run_cli("refs", film, "-o", listed / "shots.csv").stderr
    assert b"no such shot list" in run_cli("refs", film, "-o", listed / "refs", "--shots", "none.csv").stderr


def test_what_is_not_a_film_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a film")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for source in (tmp_path, tmp_path / "notes.txt", tmp_path / "photo.png"):
        for command, output in (("shots", "shots.csv"), ("refs", "refs")):
            done = run_cli(command, source, "-o", tmp_path / output)
            assert done.returncode == 1
            assert f"{source}: is not a film; name a film".encode() in done.stderr.replace(b"\n", b" ")
            assert not (tmp_path / output).exists()


def text_of(path: Path) -> str:
    with Image.open(path) as picture:
        return str(picture.info)


def test_each_shot_gets_a_frame_with_the_colors_of_a_run(film: Path, toy_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "refs"
    done = run_cli("refs", film, "-o", folder, "--model", toy_model)
    assert done.returncode == 0, done.stderr.decode()
    paths = sorted(folder.glob("*.png"))
    numbers = [int(path.stem) for path in paths]
    assert all(start <= number < end for number, (start, end) in zip(numbers, SHOTS, strict=True))
    assert all(map(is_unchanged, paths))
    few = tmp_path / "few"
    done = run_cli("refs", film, "-o", few, "--model", toy_model, "--end", "0.2", "--no-provenance")
    assert b"1 frame, one of each shot" in done.stdout
    assert ["AISystemUsed" in text_of(path) for path in (paths[0], *few.glob("*.png"))] == [True, False]
    run(toy_model, film, tmp_path / "color.mkv", "--codec", "ffv1")
    colored = [planes(tmp_path / "color.mkv", index) for index in range(3)]
    for path, number in zip(paths, numbers, strict=True):
        luma, cb, cr = (plane[number].astype(float) for plane in colored)
        rgb = load(path).astype(float)
        expected = (luma - 16) * 255 / 219
        assert np.abs(rgb @ [0.299, 0.587, 0.114] - expected).mean() < 2
        blue = (rgb[..., 2] - rgb @ [0.299, 0.587, 0.114]) / 1.772
        assert abs(blue.mean() - (cb.mean() - 128) * 255 / 224) < 1.5
        assert cr.std() > 0
    unpainted = run_cli(
        "run", film, "-o", tmp_path / "again.mkv", "--model", toy_model, "--references", folder
    )
    assert unpainted.returncode == 2
    assert b"only frames as" in unpainted.stderr
    painted = load(paths[1]).copy()
    painted[10:30, 10:30] = (200, 40, 90)
    save(paths[1], painted)
    assert [one.path for one in find_references(folder, Fraction(25))] == [paths[1]]
    assert b"contains pictures already" in run_cli("refs", film, "-o", folder, "--model", toy_model).stderr
