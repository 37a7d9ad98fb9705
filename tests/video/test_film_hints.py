"""Hints for film: each colors its thing through the shot, and a wrong one is named before the work."""

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.videos import colorcli, make, planes, run

from colorcli.errors import UsageError
from colorcli.video.film_hints import read_film_hints

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]
BOX = "testsrc=s=48x40:r=25,hue=s=0,lutyuv=y=130+val/4"
"""A thing with some texture."""


def moving(path: Path, frames: int = 40) -> Path:
    """A box that moves to the right over a dark ground; in the second half a cut, and it stands elsewhere."""
    half = frames // 2
    return make(
        path, "-f", "lavfi", "-i", f"color=0x303030:s=160x120:r=25,trim=end_frame={frames}",
        "-f", "lavfi", "-i", BOX, "-filter_complex",
        f"[0]format=yuv420p,geq=lum='if(lt(N,{half}),40,150)+10*sin(X/5)*sin(Y/7)':cb=128:cr=128[ground];"
        f"[ground][1]overlay=x='if(lt(n,{half}),20+2*n,100)':y='if(lt(n,{half}),40,10)':shortest=1", *FFV1,
    )  # fmt: skip


def write(path: Path, hints: object) -> Path:
    path.write_text(hints if isinstance(hints, str) else json.dumps(hints))
    return path


def red(path: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Cr of every frame."""
    return [plane.astype(float) - 128 for plane in planes(path, 2)]


def test_a_hint_colors_its_thing_through_its_shot_only(tmp_path: Path, toy_model: Path) -> None:
    source, plain, hinted = moving(tmp_path / "in.mkv"), tmp_path / "plain.mkv", tmp_path / "hinted.mkv"
    hints = write(tmp_path / "h.csv", "time,x,y,color\n00:00:00:10,60,60,#e03030\n0.4,70,50,224,48,48\n")
    run(toy_model, source, plain)
    run(toy_model, source, hinted, "--hints", hints)
    changes = [one - other for one, other in zip(red(hinted), red(plain), strict=True)]
    for number in (1, 10, 18):
        left = (20 + 2 * number) // 2
        box, ground = changes[number][24:36, left + 4 : left + 20], changes[number][48:, :]
        assert box.mean() > 20, number
        assert np.abs(ground).mean() < 3, number
    assert np.abs(changes[30]).max() <= 2, "the hint went through a cut"
    assert all(map(np.array_equal, planes(hinted), planes(source)))


@pytest.mark.parametrize(
    ("hints", "place", "cause"),
    [
        ([{"x": 1, "y": 1, "color": "red"}], "hint 1", "frame or time is missing"),
        ([{"frame": 1, "time": 1, "x": 1, "y": 1, "color": "red"}], "hint 1", "both given"),
        ("frame,x,y,color\n0,1,1,red\n-1,1,1,red\n", "line 3", "not a number: '-1'"),
        ("time,x,y,color\nnoon,1,1,red\n", "line 2", "'noon' is not a time"),
        ([{"frame": 0, "x": 160, "y": 1, "color": "red"}], "hint 1", "outside the film's 160x120 pixels"),
        ([{"frame": 0, "strokes": "none.png"}], "none.png", "cannot be read"),
    ],
)
def test_a_wrong_hint_is_named(hints: object, place: str, cause: str, tmp_path: Path) -> None:
    path = write(tmp_path / ("h.csv" if isinstance(hints, str) else "h.json"), hints)
    info = SimpleNamespace(width=160, height=120, rate=Fraction(25))
    with pytest.raises(UsageError, match=f"{place}.*{cause}"):
        read_film_hints(path, info)  # type: ignore[arg-type]


def test_a_hint_after_the_end_is_named_before_the_work(tmp_path: Path, toy_model: Path) -> None:
    source, output = moving(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    path = write(tmp_path / "h.json", [{"frame": 40, "x": 1, "y": 1, "color": "red"}])
    done = colorcli("run", source, "-o", output, "--model", toy_model, "--hints", path)
    assert done.returncode != 0
    assert b"h.json: hint 1 (line 1): frame 40 is not in the video" in done.stderr
    assert not output.exists()


def test_a_hint_for_a_frame_that_keeps_its_color_is_refused(tmp_path: Path, toy_model: Path) -> None:
    source = moving(tmp_path / "in.mkv")
    hints = write(tmp_path / "h.json", [{"frame": 25, "x": 120, "y": 30, "color": "red"}])
    shots = write(tmp_path / "shots.csv", "start,end,skip\n0,20,no\n20,40,yes\n")
    flags = ["--hints", hints, "--shots", shots, "--model", toy_model]
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", *flags)
    assert done.returncode != 0
    assert b"h.json: hint 1 (line 1): frame 25 has color already and keeps it" in done.stderr


def test_hints_of_a_film_are_refused_for_a_picture(tmp_path: Path, toy_model: Path) -> None:
    picture = make(tmp_path / "in.png", "-f", "lavfi", "-i", f"{BOX},trim=end_frame=1")
    hints = write(tmp_path / "h.json", [{"frame": 0, "x": 1, "y": 1, "color": "red"}])
    done = colorcli("run", picture, "-o", tmp_path / "out.png", "--model", toy_model, "--hints", hints)
    assert done.returncode != 0
    assert b"names frames, so it is for film" in done.stderr
