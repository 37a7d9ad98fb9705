"""Plans: where every output goes, and which errors are found before any work starts."""

import os
from pathlib import Path

import pytest
from PIL import Image

from colorcli.errors import RefusedError, UsageError
from colorcli.events import Event, Note
from colorcli.files import STDIO
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.plan import kind_of, make_plan
from colorcli.options import Existing, RunOptions


def plan(
    inputs: list[Path], output: Path, existing: Existing = Existing.REFUSE, **options: bool
) -> tuple[list[Job], list[str]]:
    reported: list[Event] = []
    jobs = list(make_plan(inputs, output, RunOptions(existing=existing), reported.append, **options))
    return jobs, [event.input for event in reported if isinstance(event, Note)]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n")


def test_folders_are_mirrored(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    touch(inside / "b.png", inside / "a/c.TIF", inside / "a/deep/er/d.jpeg", inside / "notes.txt")
    jobs, notes = plan([inside], tmp_path / "out")
    assert [(str(job.source.relative_to(inside)), str(job.output.relative_to(tmp_path))) for job in jobs] == [
        ("b.png", "out/b.png"),
        ("a/c.TIF", "out/a/c.TIF"),
        ("a/deep/er/d.jpeg", "out/a/deep/er/d.jpeg"),
    ]
    assert all(job.kind is Kind.IMAGE and job.problem is None for job in jobs)
    assert notes == [str(inside / "notes.txt")]


def test_one_file_goes_to_a_file_or_into_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    touch(source)
    (tmp_path / "there").mkdir()
    for output, expected in {"b.jpg": "b.jpg", "there": "there/a.png", "new": "new/a.png"}.items():
        (job,), _ = plan([source], tmp_path / output)
        assert job.output == tmp_path / expected


def test_several_inputs_need_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png")
    with pytest.raises(UsageError, match="is a file"):
        plan([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "c.png")


def test_equal_names_go_below_their_common_folder(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("in/one/x.png", "in/two/x.png", "in/y.png")]
    touch(*files)
    jobs, _ = plan(files, tmp_path / "out")
    assert [str(job.output.relative_to(tmp_path / "out")) for job in jobs] == [
        "one/x.png", "two/x.png", "y.png",
    ]  # fmt: skip


def test_apple_double_files_are_left_out_with_a_note(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.png", tmp_path / "in/._b.png")
    fork = tmp_path / "in/._a.png"
    fork.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    for inputs in ([tmp_path / "in"], [fork, tmp_path / "in/a.png", tmp_path / "in/._b.png"]):
        jobs, notes = plan(inputs, tmp_path / "out")
        assert {job.source.name for job in jobs} == {"a.png", "._b.png"}
        assert notes == [str(fork)]


def test_a_bug_while_planning_is_the_problem_of_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "in/a.png", tmp_path / "in/b.mkv")
    monkeypatch.setattr("colorcli.video.colorize.check_video", lambda *_: [][0])
    image, film = plan([tmp_path / "in"], tmp_path / "out")[0]
    assert image.problem is None
    assert film.problem is not None
    assert "unexpected error in colorcli" in film.problem.cause
    assert "index" not in str(film.problem)


def test_collisions_are_found(tmp_path: Path) -> None:
    touch(tmp_path / "one/x.png", tmp_path / "two/x.png", tmp_path / "x.pgm", tmp_path / "x.ppm")
    with pytest.raises(UsageError, match=r"both .*x.pgm and .*x.ppm"):
        plan([tmp_path / "x.pgm", tmp_path / "x.ppm"], tmp_path / "out")
    with pytest.raises(UsageError, match="both"):
        plan([tmp_path / "one", tmp_path / "two"], tmp_path / "out")


def test_an_animation_clashes_with_a_film_of_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.mkv", tmp_path / "in/b.mkv", tmp_path / "in/b.png", tmp_path / "in/c.rm")
    pictures = [Image.new("L", (8, 8), shade) for shade in (0, 99)]
    pictures[0].save(tmp_path / "in/a.gif", save_all=True, append_images=pictures[1:])
    jobs, _ = plan([tmp_path / "in"], tmp_path / "out")
    clashes = {job.source.name for job in jobs if "would be written there" in str(job.problem)}
    assert clashes == {"a.gif", "a.mkv"}
    assert jobs[-1].output.name == "c.mkv"


@pytest.mark.parametrize("output", ["in", "in/out", "in/../in/x"])
def test_output_inside_the_input_is_refused(output: str, tmp_path: Path) -> None:
    touch(tmp_path / "in/a.png")
    with pytest.raises(UsageError, match="lies inside"):
        plan([tmp_path / "in"], tmp_path / output)


def test_links_in_folders_are_not_followed_but_named_ones_are(tmp_path: Path) -> None:
    touch(tmp_path / "real/a.png", tmp_path / "in/b.png")
    (tmp_path / "in/file.png").symlink_to(tmp_path / "real/a.png")
    (tmp_path / "in/folder").symlink_to(tmp_path / "real")
    (tmp_path / "in/round").symlink_to(tmp_path / "in")
    jobs, notes = plan([tmp_path / "in"], tmp_path / "out")
    assert [job.source.name for job in jobs] == ["b.png"]
    assert {Path(note).name for note in notes} == {"file.png", "folder", "round"}
    (job,), _ = plan([tmp_path / "in/file.png"], tmp_path / "out")
    assert job.problem is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folders_are_reported(tmp_path: Path) -> None:
    touch(tmp_path / "in/closed/a.png", tmp_path / "in/b.png")
    (tmp_path / "in/closed").chmod(0)
    try:
        jobs, _ = plan([tmp_path / "in"], tmp_path / "out")
    finally:
        (tmp_path / "in/closed").chmod(0o700)
    assert [job.source.name for job in jobs if job.problem] == ["closed"]


def test_an_input_cannot_be_its_own_output(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "b.png")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "a.png")
    for output in ("a.png", "hard.png"):
        (job,), _ = plan([tmp_path / "a.png"], tmp_path / output, Existing.OVERWRITE)
        assert isinstance(job.problem, UsageError)
    first, second = plan([tmp_path / "a.png", tmp_path / "sub/../b.png"], tmp_path, Existing.OVERWRITE)[0]
    assert first.problem and second.problem


def test_existing_outputs_are_refused_skipped_or_replaced(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "out.png")
    for existing in Existing:
        (job,), _ = plan([tmp_path / "a.png"], tmp_path / "out.png", existing)
        assert isinstance(job.problem, RefusedError) is (existing is Existing.REFUSE)
        assert job.skip is (existing in (Existing.SKIP, Existing.RESUME))


def test_a_missing_file_fails_by_itself(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "words.txt").write_text("words")
    jobs, _ = plan([tmp_path / "a.png", tmp_path / "none.png", tmp_path / "words.txt"], tmp_path / "out")
    assert [job.problem is None for job in jobs] == [True, False, False]


def test_kinds(tmp_path: Path) -> None:
    touch(tmp_path / "unnamed", tmp_path / "100%done.png")
    inputs = [tmp_path / name for name in ("unnamed", "f_%06d.png", "100%done.png")]
    jobs, _ = plan(inputs, tmp_path / "out")
    assert [job.kind for job in jobs] == [Kind.IMAGE, Kind.VIDEO, Kind.IMAGE]
    assert kind_of(b"\xff\xd8\xff\xe0") is Kind.IMAGE
    assert kind_of(b"\x1a\x45\xdf\xa3") is Kind.VIDEO


def test_program_streams_and_postscript_are_told_apart(tmp_path: Path) -> None:
    reel, letter = tmp_path / "reel.ps", tmp_path / "letter.ps"
    reel.write_bytes(b"\0\0\1\xba" + bytes(60))
    letter.write_bytes(b"%!PS-Adobe-3.0\n")
    jobs, _ = plan([reel, letter], tmp_path / "out")
    assert jobs[0].kind is Kind.VIDEO
    assert jobs[1].problem is not None
    assert "neither an image nor a film" in jobs[1].problem.cause


def test_standard_output_takes_one_input(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "b.png")
    assert plan([tmp_path / "a.png"], STDIO)[0][0].output == STDIO
    for inputs in ([tmp_path / "a.png", tmp_path / "b.png"], [tmp_path]):
        with pytest.raises(UsageError, match="standard output"):
            plan(inputs, STDIO)


def test_a_folder_may_look_like_a_file(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (job,), _ = plan([tmp_path / "a.png"], tmp_path / "out.v2", into_folder=True)
    assert (job.output, job.problem) == (tmp_path / "out.v2" / "a.png", None)


def test_unknown_formats_are_found_before_work_starts(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (job,), _ = plan([tmp_path / "a.png"], tmp_path / "a.xyz")
    assert isinstance(job.problem, UsageError)
    options = RunOptions(format="xyz")
    (job,) = make_plan([tmp_path / "a.png"], STDIO, options, lambda event: None)
    assert isinstance(job.problem, UsageError)
    (job,) = make_plan([tmp_path / "a.png"], STDIO, RunOptions(format="JPG"), lambda event: None)
    assert job.problem is None


def test_named_pipes_are_not_opened(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.png")
    os.mkfifo(tmp_path / "in/pipe.png")
    jobs, notes = plan([tmp_path / "in"], tmp_path / "out")
    assert [job.source.name for job in jobs] == ["a.png"]
    assert notes == [str(tmp_path / "in/pipe.png")]
    (job,), _ = plan([tmp_path / "in/pipe.png"], tmp_path / "out")
    assert job.problem is not None
    assert "standard input" in job.problem.remedy
