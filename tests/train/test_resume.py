"""Killed and resumed equals uninterrupted, through the real command line."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.cli import COMMAND, run_cli

from colorcli.train.state import save_state

CONFIG = """
held_out = 7
mean_of_states = 2
states_every = 8
statistics_size = 32
muon = true
weight_interpolation = 0.5
target_colorfulness = 0.5
working_size = 32
checkpoint_every = 8
validate_every = 12
workers = 1

[data]
short_side = 48

[[phases]]
name = "alone"
crops = 16
size = 32
batch = 4

[[phases]]
name = "against"
crops = 8
size = 32
batch = 4
adversarial = 0.1
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, squeezenet_weights: Path) -> Path:
    folder = tmp_path_factory.mktemp("train") / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        small = rng.integers(0, 256, (4, 5, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(small, (60, 48), interpolation=cv2.INTER_CUBIC))
    (folder / "config.toml").write_text(f'feature_extractor = "{squeezenet_weights}"\n{CONFIG}')
    return folder


def arguments(data: Path, run: Path, *more: str) -> list[str]:
    return ["train", str(data), "-o", str(run), "--device", "cpu", "--config", f"{data}/config.toml", *more]


def start(data: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *arguments(data, run, *more)], stderr=subprocess.PIPE, text=True)


def refusal(*words: object, code: int = 2) -> str:
    """The last line of a command that fails."""
    done = run_cli(*words)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    return done.stderr.decode().splitlines()[-1]


def finish(*words: object) -> None:
    """In a process of its own: another number of threads, as tests set, rounds sums otherwise."""
    done = run_cli(*words, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def uninterrupted(data: Path) -> Path:
    run = data.parent / "whole"
    finish(*arguments(data, run))
    return run


def test_run_leaves_weights_metrics_and_a_sample_sheet(uninterrupted: Path) -> None:
    rows = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    assert [row["crops"] for row in rows] == [12, 16, 24]
    assert {"reconstruction", "ciede2000", "gray_ciede2000"} <= rows[-1].keys()
    assert "discriminator" in rows[-1]
    assert cv2.imread(str(uninterrupted / "samples" / "000000024.png")).shape == (160, 96, 3)
    assert list((uninterrupted / "tensorboard").iterdir())


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_and_resumed_equals_uninterrupted(
    data: Path, uninterrupted: Path, stop: signal.Signals
) -> None:
    run = data.parent / stop.name
    process = start(data, run, "--resume", "auto")  # starts the run, and later continues it
    deadline = time.monotonic() + 120
    while not (run / "state.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert stop == signal.SIGKILL or "continue with --resume" in errors
    assert "held_out: 7 is more than half of 10 pictures; 5 are held out" in errors
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143}[stop]
    finish(*arguments(data, run, "--resume", "auto"))
    weights = "generator.safetensors"
    assert (run / weights).read_bytes() == (uninterrupted / weights).read_bytes()


def test_two_processes_train_one_generator(data: Path, uninterrupted: Path) -> None:
    run = data.parent / "torchrun"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, "-m", "colorcli", *arguments(data, run)], check=True, capture_output=True, timeout=240
    )
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["crops"] for row in rows] == [12, 16, 24]
    assert (run / "generator.safetensors").stat().st_size == (
        uninterrupted / "generator.safetensors"
    ).stat().st_size


def test_a_resumed_run_stays_the_same_run(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """Other settings, another length and other pictures would make it another one."""
    settings = (data / "config.toml").read_text()
    (tmp_path / "other.toml").write_text(f"seed = 7\n{settings}")
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    shutil.copy(next(data.rglob("*.png")), fewer)
    for words, cause in (
        (
            (data, "-o", uninterrupted, "--config", tmp_path / "other.toml"),
            "differs from what the run began with",
        ),
        ((fewer, "-o", uninterrupted), "began with 10 pictures, and DATA has 1"),
    ):
        assert cause in refusal("train", *words, "--resume")


def test_a_run_inside_its_own_pictures_is_refused(data: Path) -> None:
    assert "put it elsewhere" in refusal(*arguments(data, data / "run"))


def test_a_second_run_in_the_same_folder_is_refused(data: Path, uninterrupted: Path) -> None:
    assert "--resume" in refusal(*arguments(data, uninterrupted))


def test_a_state_of_another_version_is_refused_in_one_line(data: Path, tmp_path: Path) -> None:
    save_state(tmp_path / "run" / "state.safetensors", {"generator": {}}, {"seen": 8})
    assert "another version" in refusal(*arguments(data, tmp_path / "run", "--resume"), code=1)
