"""`run --sample`: pieces from all over a film, and what the whole takes."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.cli import run_cli
from support.videos import colorcli, gray, make, planes


@pytest.fixture(scope="module", params=["film.mp4", "film.mkv"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds with a keyframe a second and B-frames between."""
    return make(
        tmp_path_factory.mktemp("film") / request.param, *gray(20, "64x48"), "-c:v", "libx264", "-g", "25",
        "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p",
    )  # fmt: skip


def test_the_pieces_are_the_films_own_frames(film: Path, toy_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "sample.mkv"
    done = colorcli("run", film, "-o", output, "--sample", "6s", "--model", toy_model, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr.decode()
    whole = {plane.tobytes(): number for number, plane in enumerate(planes(film))}
    numbers = [whole.get(plane.tobytes(), -1) for plane in planes(output)]
    assert -1 not in numbers
    assert 100 < len(numbers) <= 160
    assert min(numbers) < 25
    assert max(numbers) > 300, "the last third is there, too"
    assert np.diff(numbers).min() > -5, "in order, but for frames that look alike"
    said = re.search(rb"3 pieces, (\d+) %: the whole takes about \d+ (s|min) and [\d.]+ MB", done.stderr)
    assert said, done.stderr.decode()
    assert 25 <= int(said[1]) <= 35
    assert b"colorcli-" not in done.stderr, "a temporary file is named"


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        (["60s"], "has 20 seconds"), (["soon"], "not a number"), (["0s"], "not a number"),
        (["6s", "--shots", "new.csv"], "--shots: counts frames"),
        (["6s", "--end", "9"], "--end: counts frames"),
    ],
)  # fmt: skip
def test_a_sample_that_cannot_be_is_refused(
    flags: list[str], cause: str, film: Path, toy_model: Path, tmp_path: Path
) -> None:
    done = run_cli("run", film, "-o", tmp_path / "sample.mkv", "--model", toy_model, "--sample", *flags)
    assert done.returncode == 2
    assert cause in " ".join(done.stderr.decode().split())
    assert not list(tmp_path.iterdir())


def test_a_film_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run_cli("run", tmp_path / "none.mkv", "-o", tmp_path / "sample.mkv", "--sample", "6s")
    assert done.returncode == 1
    assert b"none.mkv: no such file" in done.stderr
