"""Runs of many files, some of them bad: every good one is done, every bad one named, nothing is partial."""

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import support.workers
from PIL import Image
from support.broken import BROKEN, ODD, write_all
from support.cli import COMMAND, events, leftovers, run_cli, started
from support.scans import contents, pictures
from support.scenes import scene

from colorcli.errors import ExitCode, SetupError
from colorcli.events import Done, Event, Failed, Note, Started, Summary
from colorcli.jobs.executors import ProcessPoolExecutor
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.resources import worker_count
from colorcli.jobs.run import run_jobs
from colorcli.options import ColorOptions, Existing, RunOptions


def test_bad_files_are_named_and_good_ones_done(tmp_path: Path, toy_model: Path) -> None:
    good = pictures(tmp_path / "in" / "good", 6) + write_all(tmp_path / "in" / "odd", ODD)
    bad = write_all(tmp_path / "in" / "bad", BROKEN)
    run = run_cli("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--json")
    reported = events(run.stdout)
    failed = {event["input"]: event for event in reported if event["event"] == "failed"}
    done = {event["input"]: event for event in reported if event["event"] == "done"}
    assert run.returncode == 1
    assert b"Traceback" not in run.stderr
    assert sorted(failed) == sorted(map(str, bad))
    assert sorted(done) == sorted(map(str, good))
    assert all(len(event["cause"]) > 5 and event["remedy"] for event in failed.values())
    assert "3,600,000,000 pixels" in failed[str(tmp_path / "in/bad/bomb.png")]["cause"]
    for event in done.values():
        assert Path(event["output"]).stat().st_size > 0
    assert not (tmp_path / "out" / "bad").exists() or not any((tmp_path / "out" / "bad").iterdir())
    assert not leftovers(tmp_path / "out")
    assert reported[-1] == {
        "event": "summary", "colorized": len(good), "copied": 0, "skipped": 0, "failed": len(bad),
        "seconds": reported[-1]["seconds"], "exit_code": 1, "problem": "",
        "dry_run": None,
    }  # fmt: skip


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 24)
    whole, interrupted = tmp_path / "whole", tmp_path / "resumed"
    common = ("run", tmp_path / "in", "--model", toy_model, "--resume", "--json")
    assert run_cli(*common, "-o", whole).returncode == 0
    chance = random.Random(5)
    for _ in range(3):
        run = started(*common, "-o", interrupted)
        assert run.stdout is not None
        for _ in range(chance.randrange(3, 12)):
            run.stdout.readline()
        run.kill()
        run.communicate()
    assert run_cli(*common, "-o", interrupted).returncode == 0
    assert contents(interrupted) == contents(whole)


ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_lets_work_under_way_finish(number: signal.Signals, tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 24)
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--json")
    run = started(*common, stderr=subprocess.PIPE, start_new_session=True)
    assert run.stdout is not None
    before = b""
    while b'"done"' not in before:
        before += run.stdout.readline()
    os.killpg(run.pid, number)  # as terminals and queues do
    after, errors = run.communicate(timeout=60)
    reported = events(before + after)
    begun = {event["input"] for event in reported if event["event"] == "started"}
    done = {event["input"] for event in reported if event["event"] == "done"}
    assert run.returncode == ENDINGS[number] == reported[-1]["exit_code"]
    assert begun == done
    assert len(done) < 24
    assert len(contents(tmp_path / "out")) == len(done)
    assert not leftovers(tmp_path / "out")
    assert b"Traceback" not in errors
    if number == signal.SIGTERM:
        assert run_cli(*common, "--resume").returncode == 0
        assert run_cli("run", tmp_path / "in", "-o", tmp_path / "b", "--model", toy_model).returncode == 0
        assert contents(tmp_path / "out") == contents(tmp_path / "b")


def test_nohup_is_respected(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 6)
    command = [
        "nohup",
        *COMMAND,
        "run",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--model",
        toy_model,
        "--json",
    ]
    run = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )
    assert run.stdout is not None
    run.stdout.readline()
    run.send_signal(signal.SIGHUP)
    run.communicate(timeout=60)
    assert run.returncode == 0
    assert len(contents(tmp_path / "out")) == 6


def test_second_interrupt_stops_at_once(tmp_path: Path, toy_model: Path) -> None:

    def report(event: Event) -> None:
        if isinstance(event, Started):
            threading.Timer(1.0, twice).start()

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)  # two signals that wait together are delivered as one
        os.kill(os.getpid(), signal.SIGINT)

    job = Job(tmp_path / "hang.png", tmp_path / "out.png", Kind.IMAGE)
    options = RunOptions(color=ColorOptions(toy_model))
    summary = run_jobs([job], options, report, ProcessPoolExecutor(options, support.workers.unreliable))
    assert summary.exit_code == ExitCode.INTERRUPTED
    assert not leftovers(tmp_path)


def test_a_crashing_decoder_is_reported(tmp_path: Path, toy_model: Path) -> None:
    reported: list[Event] = []
    job = Job(tmp_path / "crash.png", tmp_path / "out.png", Kind.IMAGE)
    options = RunOptions(color=ColorOptions(toy_model))
    summary = run_jobs(
        [job], options, reported.append, ProcessPoolExecutor(options, support.workers.unreliable)
    )
    (failed,) = [event for event in reported if isinstance(event, Failed)]
    assert "SIGSEGV" in failed.cause
    assert summary.failed == 1
    assert not leftovers(tmp_path), "the partial file of a dead worker remains"


def test_fail_fast_stops(tmp_path: Path, toy_model: Path) -> None:
    write_all(tmp_path / "in", {"000.jpg": BROKEN["text.jpg"]})
    pictures(tmp_path / "in", 30)[0].unlink()
    flags = ["--model", toy_model, "--json", "--fail-fast", "--jobs", "1"]
    run = run_cli("run", tmp_path / "in", "-o", tmp_path / "out", *flags)
    assert run.returncode == 1
    assert not [event for event in events(run.stdout) if event["event"] == "done"]


def test_existing_outputs(tmp_path: Path, toy_model: Path) -> None:
    (source,) = pictures(tmp_path / "in", 1)
    output = tmp_path / "out" / source.name
    output.parent.mkdir()
    output.write_bytes(b"mine")
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model)
    refused = run_cli(*common)
    assert (refused.returncode, output.read_bytes()) == (4, b"mine")
    assert b"--overwrite" in refused.stderr
    skipped = run_cli(*common, "--skip-existing")
    assert (skipped.returncode, output.read_bytes()) == (0, b"mine")
    overwritten = run_cli(*common, "--overwrite")
    assert overwritten.returncode == 0
    assert output.read_bytes() != b"mine"


def test_pictures_with_color_are_copied(tmp_path: Path, toy_model: Path) -> None:
    colors = np.random.default_rng(3).integers(0, 255, (6, 8, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    (tmp_path / "in").mkdir()
    for suffix in ("png", "jpg", "tif"):
        Image.fromarray(colors).save(tmp_path / "in" / f"color.{suffix}")
    sepia = np.stack([scene() * 0.95, scene() * 0.8, scene() * 0.6], axis=2).astype(np.uint8)
    Image.fromarray(sepia).save(tmp_path / "in" / "sepia.png")
    common = ("run", tmp_path / "in", "--model", toy_model, "--json")
    reported = events(run_cli(*common, "-o", tmp_path / "out").stdout)
    actions = {Path(event["input"]).name: event["action"] for event in reported if event["event"] == "done"}
    assert actions == {
        "color.png": "copied", "color.jpg": "copied", "color.tif": "copied", "sepia.png": "colorized",
    }  # fmt: skip
    for suffix in ("png", "jpg", "tif"):
        name = f"color.{suffix}"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
    reported = events(run_cli(*common, "-o", tmp_path / "again", "--recolor").stdout)
    assert reported[-1]["colorized"] == 4


def test_pipes(tmp_path: Path, toy_model: Path) -> None:
    (source,) = pictures(tmp_path, 1)
    direct = tmp_path / "direct.png"
    run_cli("run", source, "-o", direct, "--model", toy_model)
    piped = run_cli("run", "-", "-o", "-", "--model", toy_model, stdin=source.read_bytes())
    assert piped.returncode == 0
    assert piped.stdout == direct.read_bytes()
    with source.open("rb") as file:  # a file, in which one can go back, instead of a pipe
        redirected = subprocess.run(
            [*COMMAND, "run", "-", "-o", "-", "--model", toy_model],
            stdin=file,
            capture_output=True,
            check=True,
        )
    assert redirected.stdout == direct.read_bytes()
    run_cli("run", "-", "-o", f"{tmp_path}/folder/", "--model", toy_model, stdin=source.read_bytes())
    assert (tmp_path / "folder" / "stdin.png").read_bytes() == direct.read_bytes()
    closed = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *COMMAND, "run", "-", "-o", "-", "--model", str(toy_model)],
        capture_output=True,
        check=False,
    )
    assert (closed.returncode, closed.stdout) == (1, b"")
    assert b"standard input" in closed.stderr
    assert b"Traceback" not in closed.stderr
    as_jpeg = run_cli("run", source, "-o", "-", "--format", "jpg", "--model", toy_model)
    assert as_jpeg.stdout[:3] == b"\xff\xd8\xff"
    nothing = run_cli("run", "-", "-o", "-", "--model", toy_model, stdin=b"")
    assert (nothing.returncode, nothing.stdout) == (1, b"")
    text = run_cli("run", "-", "-o", "-", "--model", toy_model, stdin=b"\xff\xd8\xff nothing of a picture")
    assert (text.returncode, text.stdout) == (1, b"")
    assert text.stderr.startswith(b"colorcli: ")


def test_missing_model_is_one_line(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 1)
    run = run_cli("run", tmp_path / "in", "-o", tmp_path / "out", "--model", tmp_path / "none.onnx")
    assert run.returncode == ExitCode.SETUP
    assert b"none.onnx: no such model file" in run.stderr
    with pytest.raises(SetupError):
        job = Job(tmp_path / "in/000.png", tmp_path / "x.png", Kind.IMAGE)
        run_jobs([job], RunOptions(color=ColorOptions(tmp_path / "none.onnx")), lambda event: None)


def test_resuming_a_finished_file_says_that_its_options_are_not_known(tmp_path: Path) -> None:
    """A folder notes them; a file that stands alone cannot."""
    reported: list[Event] = []
    job = Job(tmp_path / "in.png", tmp_path / "out.png", Kind.IMAGE, skip=True)
    run_jobs([job], RunOptions(existing=Existing.RESUME), reported.append)
    assert any(isinstance(event, Note) and "--overwrite" in event.message for event in reported)


def test_unwritable_output_is_one_line(tmp_path: Path, toy_model: Path) -> None:
    first, second = pictures(tmp_path / "in", 2)
    (tmp_path / "file").write_text("in the way")
    run = run_cli("run", first, "-o", tmp_path / "file" / "out.png", "--model", toy_model)
    assert run.returncode == 1
    assert b"cannot be written" in run.stderr
    assert b"Traceback" not in run.stderr
    assert second.exists()


def test_a_closed_output_pipe_ends_the_run_quietly(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 6)
    run = started(
        "run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--json", stderr=subprocess.PIPE
    )
    assert run.stdout is not None
    run.stdout.readline()
    run.stdout.close()
    assert run.wait(timeout=60) == ExitCode.SOME_FAILED
    assert run.stderr is not None
    assert run.stderr.read() == b""
    run.stderr.close()
    assert not leftovers(tmp_path / "out")


def test_workers_are_as_many_as_asked_for_and_at_least_one() -> None:
    assert worker_count(7) == 7
    assert 1 <= worker_count(None) <= (os.cpu_count() or 1)


def test_the_exit_code_names_a_single_cause_or_says_some_failed(tmp_path: Path, toy_model: Path) -> None:
    (source,) = pictures(tmp_path / "in", 1)
    reported: list[Event] = []
    options = RunOptions(color=ColorOptions(toy_model), max_pixels=10)
    job = Job(source, tmp_path / "out.png", Kind.IMAGE)
    assert run_jobs([job], options, reported.append).exit_code == ExitCode.REFUSED
    missing = Job(tmp_path / "none.png", tmp_path / "none-out.png", Kind.IMAGE)
    assert run_jobs([job, missing], options, reported.append).exit_code == ExitCode.SOME_FAILED
    assert not any(isinstance(event, Done) for event in reported)
    assert [event for event in reported if isinstance(event, Summary)]
