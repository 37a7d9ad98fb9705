"""The shot list: written, edited, read and followed."""

from pathlib import Path

import numpy as np
import pytest
from support.videos import gray, make, planes, run

from colorcli.errors import UsageError
from colorcli.video.shot_list import Shot, ShotList, read_shots, write_shots

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


def test_shot_list_survives_a_round_trip(tmp_path: Path) -> None:
    shots = [Shot(0, 10, 0.5, "a.png"), Shot(10, 25, skip=True)]
    write_shots(tmp_path / "shots.csv", shots, 25)
    assert read_shots(tmp_path / "shots.csv") == shots
    found = ShotList(shots)
    assert [found.find(number) for number in (0, 9, 10, 25)] == [shots[0], shots[0], shots[1], None]


@pytest.mark.parametrize("rows", ["x,y", "5,5", "0,9\n8,12"])
def test_bad_shot_lists_name_the_line(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "shots.csv"
    path.write_text(f"start,end\n{rows}\n")
    with pytest.raises(UsageError, match="line"):
        read_shots(path)


def test_a_shot_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shots.csv"
    path.write_bytes(b"start,end\n\xff,5\n")
    with pytest.raises(UsageError, match="not a text file"):
        read_shots(path)


def test_a_shot_list_is_followed(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.6), *FFV1)
    (tmp_path / "shots.csv").write_text("start,end,saturation,skip\n0,5,1,no\n5,10,0,no\n10,15,1,yes\n")
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--shots", tmp_path / "shots.csv")
    spread = [int(np.ptp(chroma)) for chroma in planes(output, 1)]
    assert min(spread[:5]) > 2
    assert max(spread[5:]) == 0
