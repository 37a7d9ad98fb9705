"""A film in tasks: however many processes do it, and wherever they are killed, the bytes are the same."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.cli import COMMAND, events
from support.videos import bitstream, colorcli, differences, gray, make, run

from colorcli.video.sinks.segments import Segments

KILL_SECONDS = 0.005


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, the second of them a take without a cut that is two segments long; with sound."""
    return make(
        tmp_path_factory.mktemp("video") / "in.mkv", *gray(9.7, "64x48"),
        *gray(20.1, "64x48", source="mandelbrot"), "-f", "lavfi", "-i", "sine=d=29",
        "-filter_complex", "[0:v][1:v]concat=n=2[v]", "-map", "[v]", "-map", "2:a", "-pix_fmt", "yuv420p",
        "-c:v", "libx264", "-preset", "ultrafast", "-g", "100",
        "-c:a", "flac",
    )  # fmt: skip


@pytest.fixture(scope="module", params=["ffv1", "libx264"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, toy_model: Path, video: Path, codec: str) -> Path:
    """What one process makes of it."""
    output = tmp_path_factory.mktemp("whole") / "whole.mkv"
    run(toy_model, video, output, "--codec", codec, "--jobs", 1)
    return output


def test_two_processes_give_the_bytes_of_one(
    tmp_path: Path, toy_model: Path, video: Path, whole: Path, codec: str
) -> None:
    output = tmp_path / "out.mkv"
    reported = events(run(toy_model, video, output, "--codec", codec, "--jobs", 2, "--json"))
    assert bitstream(output) == bitstream(whole)
    assert differences(video, output) == []
    assert not list(tmp_path.glob(".*")), "the run's folder was left behind"
    done = next(event for event in reported if event["event"] == "done")
    assert done["facts"]["frames"] == 746
    counts = [event["done"] for event in reported if event["event"] == "progress"]
    assert counts == sorted(counts)


def test_a_killed_run_is_continued_by_another_number_of_processes(
    tmp_path: Path, toy_model: Path, video: Path, whole: Path, codec: str
) -> None:
    first, then = (1, 2) if codec == "ffv1" else (2, 1)
    output = tmp_path / "out.mkv"
    flags = ["--model", toy_model, "--codec", codec]
    command = [*COMMAND, "run", video, "-o", output, *flags, "--jobs", first]
    running = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL, start_new_session=True)
    while not list((tmp_path / ".out.mkv.colorcli").glob("0*.json")):
        assert running.poll() is None, "it ended before it could be killed"
        time.sleep(KILL_SECONDS)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not output.exists()
    done = colorcli("run", video, "-o", output, *flags, "--jobs", then, "--resume", "--json")
    assert done.returncode == 0, done.stderr
    assert bitstream(output) == bitstream(whole)
    facts = next(event["facts"] for event in events(done.stdout) if event["event"] == "done")
    assert facts["resumed"] > 0


def test_two_writers_of_one_segment_never_share_a_file(tmp_path: Path) -> None:
    """As when a machine believed dead goes on, and process numbers in both containers are the same."""
    one, other = (Segments(tmp_path / "out.mkv", {}) for _ in range(2))
    assert one.unfinished(0) != other.unfinished(0)
    assert one.unfinished_chroma(0) != other.unfinished_chroma(0)
