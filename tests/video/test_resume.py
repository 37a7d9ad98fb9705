"""A killed run, when resumed, gives the frames of an uninterrupted one."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from support import stand_ins
from support.cli import COMMAND, data_of, events
from support.videos import colorcli, differences, gray, make, planes, run

from colorcli.files import locked


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments long, with movement, cuts and sound."""
    folder = tmp_path_factory.mktemp("video")
    return make(
        folder / "in.mkv", *gray(9.7, "64x48"), *gray(9.9, "64x48", source="testsrc"),
        *gray(6, "64x48", source="mandelbrot"), "-f", "lavfi", "-i", "sine=d=25.6",
        "-filter_complex", "[0:v][1:v][2:v]concat=n=3[v]", "-map", "[v]", "-map", "3:a",
        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac",
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, toy_model: Path, video: Path) -> Path:
    """What an uninterrupted run makes of it."""
    output = tmp_path_factory.mktemp("whole") / "whole.mkv"
    run(toy_model, video, output)
    return output


def state_of(output: Path) -> Path:
    """The folder of what is finished of an output."""
    return output.with_name(f".{output.name}.colorcli")


def kill_after_segment(model: Path, video: Path, output: Path, segment: int) -> None:
    """Run until a segment is finished and the next one is being encoded, and kill."""
    command = [sys.executable, "-m", "colorcli", "run", video, "-o", output, "--model", model, "--resume"]
    folder = state_of(output)
    running = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    try:
        while not (len(list(folder.glob("0*.json"))) > segment and list(folder.glob("*.part.nut"))):
            assert running.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


@pytest.fixture
def killed(unfinished: Path, tmp_path: Path) -> Path:
    """The output of a run that was killed after its first segment."""
    return Path(shutil.copytree(unfinished.parent, tmp_path / "killed")) / unfinished.name


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory, toy_model: Path, video: Path) -> Path:
    output = tmp_path_factory.mktemp("unfinished") / "out.mkv"
    kill_after_segment(toy_model, video, output, 0)
    return output


@pytest.mark.parametrize("kind", ["native", "ddcolor"])
def test_killed_and_resumed_equals_uninterrupted(
    kind: str, tmp_path: Path, toy_model: Path, video: Path, whole: Path
) -> None:
    model, killed = toy_model, tmp_path / "killed.mkv"
    if kind != "native":
        model, whole = stand_ins.write(tmp_path / "m.onnx", kind), tmp_path / "whole.mkv"
        run(model, video, whole)
    for segment in (0, 1):
        kill_after_segment(model, video, killed, segment)
        assert not killed.exists()
    run(model, video, killed, "--resume", "--report", tmp_path / "page.html")
    shots = [entry for entry in data_of((tmp_path / "page.html").read_text())["entries"] if "shot" in entry]
    assert [one["shot"]["start"] for one in shots] == [0, 243, 491]
    for plane in range(3):
        pairs = zip(planes(whole, plane), planes(killed, plane), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)
    assert differences(video, killed) == differences(video, whole) == []
    assert not list(tmp_path.glob(".*")), "the run's folder was left behind"


def test_an_encoder_that_outlives_its_killed_run_does_no_harm(
    killed: Path, toy_model: Path, video: Path, whole: Path
) -> None:
    """It still holds its file open, and writes to it while the resumed run does."""
    with ExitStack() as stack:
        paths = state_of(killed).glob("*.part.nut")
        files = [stack.enter_context(path.open("r+b", buffering=0)) for path in paths]
        assert files
        ended = stack.enter_context(_in_background(lambda: [file.write(b"late" * 100) for file in files]))
        same = video.parent / ".." / video.parent.name / video.name  # another name of the same file
        run(toy_model, same, killed, "--resume")
        ended.set()
    assert all(np.array_equal(a, b) for a, b in zip(planes(whole), planes(killed), strict=True))


@contextmanager
def _in_background(repeat: Callable[[], object]) -> Iterator[threading.Event]:
    """Do something again and again until the event is set."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(0.01):
            repeat()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield ended
    finally:
        ended.set()
        thread.join()


def test_a_damaged_record_is_made_again(killed: Path, toy_model: Path, video: Path, whole: Path) -> None:
    (state_of(killed) / "00000000.json").write_text("{")
    run(toy_model, video, killed, "--resume")
    assert all(np.array_equal(a, b) for a, b in zip(planes(whole), planes(killed), strict=True))


def test_an_unfinished_run_is_not_thrown_away(killed: Path, toy_model: Path, video: Path) -> None:
    common = ("run", video, "-o", killed, "--model", toy_model)
    for flags, says in (
        ([], b"continue it with --resume"),
        (["--skip-existing"], b"continue it with --resume"),
        (["--resume", "--saturation", "0.5"], b"had another --saturation"),
    ):
        done = colorcli(*common, *flags)
        assert done.returncode == 4
        assert says in done.stderr
    done = colorcli(*common, "--resume", "--json")
    assert b'"resumed": 2' in done.stdout


def test_an_unfinished_run_can_be_started_again(killed: Path, toy_model: Path, video: Path) -> None:
    done = colorcli("run", video, "-o", killed, "--model", toy_model, "--overwrite", "--json")
    assert done.returncode == 0
    assert b"continuing" not in done.stdout + done.stderr
    assert b"resumed" not in done.stdout


def test_an_encoder_that_fails_is_one_line_and_leaves_no_output(
    tmp_path: Path, toy_model: Path, video: Path
) -> None:
    flags = ["--encoder-args", "-x264-params no-such-parameter=1:threads=none -preset never"]
    done = colorcli("run", video, "-o", tmp_path / "out.mkv", "--model", toy_model, *flags)
    assert done.returncode == 2
    assert b"--encoder-args" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_second_run_to_the_same_output_is_refused(killed: Path, toy_model: Path, video: Path) -> None:
    with locked(state_of(killed), killed):
        done = colorcli("run", video, "-o", killed, "--model", toy_model, "--resume", "-q")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"out.mkv: another run is writing it" in done.stderr
    run(toy_model, video, killed, "--resume")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_film_at_once_and_it_can_be_continued(
    number: signal.Signals, code: int, tmp_path: Path, toy_model: Path, video: Path, whole: Path
) -> None:
    output = tmp_path / "out.mkv"
    command = [*COMMAND, "run", video, "-o", output, "--model", toy_model, "--json"]
    running = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, start_new_session=True)
    record = state_of(output) / "00000000.json"
    while not record.exists():
        assert running.poll() is None, "it ended before it could be stopped"
        time.sleep(0.005)
    os.killpg(running.pid, number)
    reported = events(running.communicate(timeout=60)[0])
    assert running.returncode == code == reported[-1]["exit_code"]
    assert not any(event["event"] == "failed" for event in reported)
    assert not output.exists()
    run(toy_model, video, output, "--resume")
    assert all(np.array_equal(a, b) for a, b in zip(planes(whole), planes(output), strict=True))
    assert not list(tmp_path.glob(".*"))
