"""Video through real pipes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.videos import colorcli, differences, gray, make, planes, run


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video")
    (folder / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nHello\n")
    return make(
        folder / "in.mkv", *gray(1), "-f", "lavfi", "-i", "sine=d=1", "-i", folder / "words.srt",
        "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-c:a", "aac",
    )  # fmt: skip


def test_from_stdin_to_stdout_nothing_is_lost(tmp_path: Path, toy_model: Path, video: Path) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(run(toy_model, "-", "-", "--codec", "ffv1", input=video.read_bytes()))
    assert differences(video, output) == []
    assert all(np.array_equal(a, b) for a, b in zip(planes(video), planes(output), strict=True))


@pytest.mark.parametrize("kind", ["nut", "y4m"])
def test_raw_video_to_the_next_program(tmp_path: Path, toy_model: Path, video: Path, kind: str) -> None:
    output = tmp_path / f"out.{kind}"
    output.write_bytes(run(toy_model, video, "-", "--format", kind))
    assert all(np.array_equal(a, b) for a, b in zip(planes(video), planes(output), strict=True))


def test_from_stdin_to_a_file(tmp_path: Path, toy_model: Path, video: Path) -> None:
    output = tmp_path / "out.mkv"
    run(toy_model, "-", output, input=video.read_bytes())
    assert differences(video, output) == []


def test_a_reader_who_leaves_ends_it_quietly(tmp_path: Path, toy_model: Path) -> None:
    video = make(tmp_path / "long.mkv", *gray(8), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    command = [sys.executable, "-m", "colorcli", "run", video, "-o", "-", "--model", toy_model, "-q"]
    running = subprocess.Popen(
        [*map(str, command), "--format", "nut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None
    running.stdout.read(1000)
    running.stdout.close()
    assert running.wait(timeout=60) == 0
    assert running.stderr is not None
    assert b"Traceback" not in running.stderr.read()
    running.stderr.close()


def test_rubbish_on_stdin_is_one_line(toy_model: Path) -> None:
    done = colorcli("run", "-", "-o", "-", "--model", toy_model, input=b"no video" * 100)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
