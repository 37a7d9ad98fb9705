"""Mending a kept film: only what a change touches is colorized again, and the result is a full run's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.cli import data_of, events
from support.videos import bitstream, colorcli, differences, gray, make, planes, run

from colorcli.options import Existing
from colorcli.video.chroma_store import ChromaWriter, read_chroma
from colorcli.video.sinks.identity import code_digest
from colorcli.video.sinks.segments import Segments

SIZE = "64x48"
SHOTS = "start,end,saturation,skip\n270,280,1,no\n280,310,{},no\n310,486,1,no\n"
"""The first shot is shorter than a segment may be."""


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
    """Run again; the facts of the result."""
    page = "--report", page_of(output)
    done = colorcli(
        "run", video, "-o", output, "--model", model, "--keep", "--overwrite", "--json", *page, *flags
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, object] = next(
        event["facts"] for event in events(done.stdout) if event["event"] == "done"
    )
    return facts


def page_of(output: Path) -> Path:
    return output.with_suffix(".html")


def shots_on(page: Path) -> list[dict[str, object]]:
    """What a page has of the shots."""
    return [entry for entry in data_of(page.read_text())["entries"] if "shot" in entry]


def mark(kept: Path, position: int) -> None:
    """Replace the stored colors of a segment, which shows where they are used."""
    (path,) = kept.parent.glob(f".{kept.name}.colorcli/{position:08d}.chroma.nut")
    frames = [chromas for _, chromas in read_chroma(path, views=1)]
    with ChromaWriter(path) as writer:
        for chromas in frames:
            writer.add([np.full_like(chromas[0], 0.2)])


def is_marked(output: Path) -> list[bool]:
    """Of each frame."""
    return [bool(np.median(plane) > 150) for plane in planes(output, 1)]


def copied(kept: Path, folder: Path) -> Path:
    shutil.copytree(kept.parent, folder, dirs_exist_ok=True)
    return folder / kept.name


def test_a_changed_shot_list_colorizes_its_shots_only(
    tmp_path: Path, toy_model: Path, video: Path, kept: Path
) -> None:
    output, shots = copied(kept, tmp_path / "mended"), tmp_path / "shots.csv"
    shots.write_text(SHOTS.format(0.5))
    facts = mend(toy_model, video, output, "--shots", shots)
    assert facts["resumed"] == 243 + 25
    before, marked = planes(output, 1), copied(output, tmp_path / "marked")
    mark(marked, 270)
    shots.write_text(SHOTS.format(0.7))
    mend(toy_model, video, marked, "--shots", shots, "--jobs", 1)
    assert is_marked(marked) == [270 <= number < 280 for number in range(511)]
    mend(toy_model, video, output, "--shots", shots, "--jobs", 2)
    full = tmp_path / "full.mkv"
    run(toy_model, video, full, "--shots", shots, "--report", page_of(full))
    assert bitstream(output) == bitstream(full) != bitstream(kept)
    changed = [bool((a != b).any()) for a, b in zip(planes(output, 1), before, strict=True)]
    assert all(changed[280:310])
    assert not any(changed[:270] + changed[310:])
    assert [one["shot"]["start"] for one in shots_on(page_of(output))] == [0, 243, 270, 280, 310, 486]
    assert shots_on(page_of(output)) == shots_on(page_of(full))
    line = shots_on(page_of(full))[3]["shot"]["line"]
    assert line == "280,310,00:00:11.200,0.7,0,0,,no", "what was decided is lost when the line is copied"
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
    run(toy_model, video, full, "--hints", hints, "--codec", "ffv1", "--overwrite", "--report", page_of(full))
    assert bitstream(output) == bitstream(full)
    assert "memory of the shot at frame 0" in str(shots_on(page_of(full)))
    assert shots_on(page_of(output)) == shots_on(page_of(full))


def test_a_changed_reference_colorizes_its_task_and_earlier_ones_that_show_the_same(
    tmp_path: Path, toy_model: Path, video: Path, kept: Path
) -> None:
    output, full, folder = copied(kept, tmp_path), tmp_path / "full.mkv", tmp_path / "refs"
    folder.mkdir()
    make(folder / "000490.png", "-f", "lavfi", "-i", f"color=red:s={SIZE}", "-frames:v", "1")
    facts = mend(toy_model, video, output, "--references", folder, "--jobs", 2)
    assert facts["resumed"] == 243
    run(toy_model, video, full, "--references", folder, "--report", page_of(full))
    assert bitstream(output) == bitstream(full)
    assert shots_on(page_of(output)) == shots_on(page_of(full))
    changed = [bool((a != b).any()) for a, b in zip(planes(output, 2), planes(kept, 2), strict=True)]
    assert all(changed[:243] + changed[486:])
    assert not any(changed[243:486])
    (folder / "000490.png").rename(folder / "notes.png")
    mend(toy_model, video, output)
    assert bitstream(output) == bitstream(kept)


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


def test_colors_that_other_code_made_are_not_kept(tmp_path: Path) -> None:
    code = tmp_path / "colorcli" / "video" / "voting.py"
    code.parent.mkdir(parents=True)

    def segments(share: float) -> Segments:
        code.write_text(f"SHARE = {share}\n")
        identity = {"colorcli": code_digest(tmp_path / "colorcli"), "color": {}, "video": {}}
        return Segments(tmp_path / "out.mkv", identity)

    with segments(0.5).claimed():
        assert not segments(0.5).open(Existing.REFUSE)
        assert segments(0.5).reopen()
        assert not segments(0.6).reopen()


def test_what_was_damaged_is_made_again(tmp_path: Path, toy_model: Path, video: Path, kept: Path) -> None:
    output = copied(kept, tmp_path)
    for damaged, resumed in (("*243", 243), ("0*", None)):
        for path in tmp_path.glob(f".out*/{damaged}.json"):
            path.write_text(json.dumps({}))
        facts = mend(toy_model, video, output)
        assert facts.get("resumed") == resumed
        assert bitstream(output) == bitstream(kept)
