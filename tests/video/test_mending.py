"""Mending a kept film: only what a change touches is colorized again, and the result is a full run's."""

import json
import subprocess
from pathlib import Path

import pytest
from support.cli import events
from support.videos import bitstream, colorcli, differences, gray, make, planes, run

SIZE = "64x48"
SHOTS = "start,end,saturation,skip\n250,270,{},no\n270,486,1,no\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks, with sound; the last one shows what the first one shows."""
    return make(
        tmp_path_factory.mktemp("video") / "in.mkv", *gray(9.7, SIZE), *gray(9.7, SIZE, source="testsrc"),
        *gray(1, SIZE), "-f", "lavfi", "-i", "sine=d=12",
        "-filter_complex", "[0:v][1:v][2:v]concat=n=3[v]", "-map", "[v]", "-map", "3:a",
        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "100", "-c:a", "flac",
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, toy_model: Path, video: Path) -> Path:
    """A finished film with its state."""
    output = tmp_path_factory.mktemp("kept") / "out.mkv"
    run(toy_model, video, output, "--keep")
    return output


def mend(model: Path, video: Path, output: Path, *flags: object) -> dict[str, object]:
    """Run again; the facts of the result, and as `predicted` for each shot whether the network ran."""
    done = colorcli("run", video, "-o", output, "--model", model, "--keep", "--overwrite", "--json", *flags)
    assert done.returncode == 0, done.stderr
    shots = {
        event["start"]: event["certainty"] is not None
        for event in events(done.stdout)
        if event["event"] == "shot"
    }
    facts = next(event["facts"] for event in events(done.stdout) if event["event"] == "done")
    return {**facts, "predicted": shots}


def copied(kept: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-a", f"{kept.parent}/.", str(folder)], check=True)
    return folder / kept.name


def test_a_changed_shot_list_colorizes_its_shots_only(
    tmp_path: Path, toy_model: Path, video: Path, kept: Path
) -> None:
    output, shots = copied(kept, tmp_path), tmp_path / "shots.csv"
    shots.write_text(SHOTS.format(0.5))
    facts = mend(toy_model, video, output, "--shots", shots)
    assert facts["resumed"] == 243 + 25
    for saturation, jobs in ((0.6, 1), (0.7, 2)):
        shots.write_text(SHOTS.format(saturation))
        facts = mend(toy_model, video, output, "--shots", shots, "--jobs", jobs)
        assert facts["predicted"] == {243: False, 250: True, 270: False}
    full = tmp_path / "full.mkv"
    run(toy_model, video, full, "--shots", shots)
    assert bitstream(output) == bitstream(full) != bitstream(kept)
    assert differences(video, output) == []
    shots.unlink()
    mend(toy_model, video, output)
    assert bitstream(output) == bitstream(kept), "the change was not taken back"


def test_a_changed_hint_colorizes_its_task_and_those_that_remember_it(
    tmp_path: Path, toy_model: Path, video: Path, kept: Path
) -> None:
    output, full, hints = copied(kept, tmp_path), tmp_path / "full.mkv", tmp_path / "h.csv"
    hints.write_text("frame,x,y,color\n5,30,10,#d02020\n5,15,35,#d02020\n")
    facts = mend(toy_model, video, output, "--hints", hints, "--jobs", 2)
    assert (facts["resumed"], facts["frames"]) == (243, 511)
    run(toy_model, video, full, "--hints", hints)
    assert bitstream(output) == bitstream(full)
    changed = [bool((a != b).any()) for a, b in zip(planes(output, 2), planes(kept, 2), strict=True)]
    assert changed[5]
    assert not any(changed[243:486])
    assert any(changed[486:]), "the last shot did not remember the first one"
    mend(toy_model, video, output, "--hints", hints, "--codec", "ffv1")
    run(toy_model, video, full, "--hints", hints, "--codec", "ffv1", "--overwrite")
    assert bitstream(output) == bitstream(full)


def test_a_changed_reference_colorizes_its_task_only(
    tmp_path: Path, toy_model: Path, video: Path, kept: Path
) -> None:
    output, full, folder = copied(kept, tmp_path), tmp_path / "full.mkv", tmp_path / "refs"
    folder.mkdir()
    make(folder / "000490.png", "-f", "lavfi", "-i", f"color=red:s={SIZE}", "-frames:v", "1")
    facts = mend(toy_model, video, output, "--references", folder)
    assert facts["resumed"] == 486
    run(toy_model, video, full, "--references", folder)
    assert bitstream(output) == bitstream(full) != bitstream(kept)


def test_another_encoding_needs_no_network(tmp_path: Path, toy_model: Path, video: Path, kept: Path) -> None:
    output, full = copied(kept, tmp_path), tmp_path / "full.mkv"
    colors = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".out*/*.chroma.nut")}
    assert len(colors) == 3
    mend(toy_model, video, output, "--codec", "ffv1")
    assert {path: path.stat().st_mtime_ns for path in colors} == colors, "the colors were made again"
    run(toy_model, video, full, "--codec", "ffv1")
    assert bitstream(output) == bitstream(full)


def test_other_colors_start_over(tmp_path: Path, toy_model: Path, video: Path, kept: Path) -> None:
    output, full = copied(kept, tmp_path), tmp_path / "full.mkv"
    facts = mend(toy_model, video, output, "--saturation", 0.5)
    assert "resumed" not in facts
    run(toy_model, video, full, "--saturation", 0.5)
    assert bitstream(output) == bitstream(full)


def test_what_was_damaged_is_made_again(tmp_path: Path, toy_model: Path, video: Path, kept: Path) -> None:
    output = copied(kept, tmp_path)
    for path in tmp_path.glob(".out*/*243.json"):
        path.write_text(json.dumps({}))
    facts = mend(toy_model, video, output)
    assert facts["resumed"] == 243
    assert bitstream(output) == bitstream(kept)
