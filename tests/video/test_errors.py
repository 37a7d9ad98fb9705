"""Errors in the middle of a video: one line, no output, and never a crash, however the threads stand."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.videos import colorcli, gray, make

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]
RUNS = 2
"""Races need not show at once."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("video") / "in.mkv", *gray(4, "320x240"), *FFV1)


def broken_shot_reference(folder: Path, video: Path) -> list[object]:
    (folder / "shots.csv").write_text("start,end,reference\n0,40,bad.png\n40,100,\n")
    (folder / "bad.png").write_bytes(b"not a picture")
    return [video, "--shots", folder / "shots.csv", "--references", folder]


def missing_shot_reference(folder: Path, video: Path) -> list[object]:
    (folder / "shots.csv").write_text("start,end,reference\n0,40,\n40,100,missing.png\n")
    return [video, "--shots", folder / "shots.csv"]


def broken_reference(folder: Path, video: Path) -> list[object]:
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "000030.png").write_bytes(b"not a picture")
    return [video, "--references", folder / "refs"]


def differing_picture(folder: Path, video: Path) -> list[object]:
    (folder / "pictures").mkdir(exist_ok=True)
    for number in range(30):
        size = (30, 50) if number == 25 else (60, 80)
        cv2.imwrite(str(folder / "pictures" / f"{number:02d}.png"), np.full((*size, 3), 99, np.uint8))
    return [folder / "pictures" / "%02d.png"]


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (broken_shot_reference, b"bad.png"),
        (missing_shot_reference, b"missing.png"),
        (broken_reference, b"000030.png"),
        (differing_picture, b"differs from the first"),
    ],
)
def test_an_error_is_one_line_and_no_crash(
    tmp_path: Path,
    toy_model: Path,
    video: Path,
    arrange: Callable[[Path, Path], list[object]],
    message: bytes,
) -> None:
    arguments = arrange(tmp_path, video)
    before = sorted(tmp_path.rglob("*"))
    for _ in range(RUNS):
        done = colorcli("run", *arguments, "-o", tmp_path / "out.mkv", "--model", toy_model, "-q")
        assert done.returncode in (1, 2), done.stderr
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert [path for path in sorted(tmp_path.rglob("*")) if ".colorcli" not in str(path)] == before


def test_a_video_that_breaks_off_is_colorized_up_to_there(
    tmp_path: Path, toy_model: Path, video: Path
) -> None:
    content = video.read_bytes()
    for run in range(RUNS):
        cut = tmp_path / f"cut{run}.mkv"
        cut.write_bytes(content[: len(content) * (run + 2) // 5])
        done = colorcli("run", cut, "-o", tmp_path / f"out{run}.mkv", "--model", toy_model, "-q")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_a_disk_that_is_full_is_one_line(tmp_path: Path, toy_model: Path, video: Path, source: str) -> None:
    """The limit on file sizes stops the encoder or the muxer in the middle."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    for _ in range(RUNS):
        flags = ["-o", tmp_path / "out.mkv", "--model", toy_model, "-q", "--codec", "ffv1", "--overwrite"]
        if source == "file":
            done = colorcli("run", video, *flags, preexec_fn=limit)
        else:
            done = colorcli("run", "-", *flags, input=video.read_bytes(), preexec_fn=limit)
        assert done.returncode == 1, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("output", ["out.mkv", "-"])
def test_an_interrupted_run_ends_in_order(tmp_path: Path, toy_model: Path, video: Path, output: str) -> None:
    long = make(tmp_path / "long.mkv", "-stream_loop", "20", "-i", video, "-c", "copy")
    target = output if output == "-" else str(tmp_path / output)
    command = [sys.executable, "-m", "colorcli", "run", long, "-o", target, "--model", toy_model, "--json"]
    for _ in range(RUNS):
        with (
            Path(os.devnull).open("wb") as nowhere,
            subprocess.Popen(
                list(map(str, command)),
                stdout=nowhere if output == "-" else subprocess.PIPE,
                stderr=subprocess.PIPE if output == "-" else nowhere,
            ) as running,
        ):
            events = running.stderr if output == "-" else running.stdout
            assert events is not None
            next(line for line in events if b'"progress"' in line)
            running.send_signal(signal.SIGINT)
            rest = events.read()
            assert running.wait(timeout=60) == 130
            assert b"Traceback" not in rest
    assert not (tmp_path / "out.mkv").exists()
