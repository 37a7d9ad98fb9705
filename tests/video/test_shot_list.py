"""The shot list: written, edited, read and followed."""

from pathlib import Path

import numpy as np
import pytest
from support.videos import gray, make, planes, run

from colorcli.errors import UsageError
from colorcli.events import Event, Note
from colorcli.options import ColorOptions, RunOptions, VideoOptions
from colorcli.video.grade import Grade
from colorcli.video.preflight import preflight
from colorcli.video.shot_list import Shot, ShotList, read_shots, write_shots

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("film") / "in.mp4", *gray(1.6))  # its header counts the frames


def test_shot_list_survives_a_round_trip(tmp_path: Path) -> None:
    shots = [Shot(0, 10, Grade(0.5, -30, 0.25), "a.png"), Shot(10, 25, skip=True)]
    write_shots(tmp_path / "shots.csv", shots, 25)
    assert read_shots(tmp_path / "shots.csv") == shots
    found = ShotList(shots)
    assert [found.find(number) for number in (0, 9, 10, 25)] == [shots[0], shots[0], shots[1], None]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("0,5\n10,40\n", "frame 5;"),
        ("4,5\n5,40\n", "frame 0;"),
        ("0,5\n", "frame 5;"),
        ("2,5\n6,40\n", "frame 0 (2 gaps in all);"),
        ("0,5\n5,38\n", ""),
    ],
)
def test_frames_without_a_row_are_named_before_work(
    tmp_path: Path, film: Path, toy_model: Path, rows: str, says: str
) -> None:
    (tmp_path / "shots.csv").write_text(f"start,end\n{rows}")
    options = RunOptions(ColorOptions((toy_model,)), VideoOptions(shots=tmp_path / "shots.csv"))
    notes: list[Event] = []
    with preflight(film, tmp_path / "out.mkv", options, notes.append):
        pass
    named = [note.message for note in notes if isinstance(note, Note) and "has no row for" in note.message]
    assert len(named) == bool(says)
    assert all(message.startswith(str(tmp_path)) and says in message for message in named)


@pytest.mark.parametrize("rows", ["x,y", "5,5", "0,9\n8,12", "0,9,4"])
def test_bad_shot_lists_name_the_line(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "shots.csv"
    path.write_text(f"start,end,warmth\n{rows}\n")
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


def test_hue_and_warmth_change_a_shot_and_not_its_luma(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.4), *FFV1)
    plain, warm, turned = (tmp_path / name for name in ("plain.mkv", "warm.mkv", "turned.mkv"))
    run(toy_model, source, plain)
    for output, column in ((warm, "warmth"), (turned, "hue")):
        (tmp_path / "shots.csv").write_text(f"start,end,{column}\n0,10,{1 if column == 'warmth' else 180}\n")
        run(toy_model, source, output, "--shots", tmp_path / "shots.csv")
        assert all(map(np.array_equal, planes(output), planes(source)))

    def colors(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.stack([np.stack(planes(path, index)) for index in (1, 2)]).astype(float) - 128

    assert (colors(warm).mean(axis=(1, 2, 3)) - colors(plain).mean(axis=(1, 2, 3)))[0] < -3
    assert (colors(warm).mean(axis=(1, 2, 3)) - colors(plain).mean(axis=(1, 2, 3)))[1] > 1
    middle = np.abs(colors(plain)) < 12  # of the gamut: the toy model has strong colors elsewhere
    assert np.abs(colors(turned) + colors(plain))[middle].mean() < 2
