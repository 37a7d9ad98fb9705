"""What a run says: progress without a terminal, how it ended, what to do next; the summary of `--json`."""

import io
import json
import signal
import time
from pathlib import Path

import pytest
from rich.console import Console
from support.cli import events, run_cli, started
from support.videos import gray, make

from colorcli.cli.console import FIRST_LINE, SHOWN_NOTES, ConsoleSink
from colorcli.errors import RefusedError
from colorcli.events import Done, Event, Failed, Note, Planned, Progress, Started, Summary

PICTURE = Path(__file__).parents[2] / "examples" / "within_our_gates_1920.jpg"


def shown(*happened: Event | float, quiet: bool = False) -> str:
    """What people see without a terminal; numbers are seconds that pass."""
    now = 0.0
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    with ConsoleSink(quiet=quiet, console=console, clock=lambda: now) as sink:
        for event in happened:
            if isinstance(event, float):
                now += event
            else:
                sink(event)
    return stream.getvalue()


def summary(exit_code: int = 0, **numbers: int) -> Summary:
    counts = {"colorized": 0, "copied": 0, "skipped": 0, "failed": 0} | numbers
    return Summary(**counts, seconds=10.0, exit_code=exit_code)


def test_progress_of_film_is_a_line_now_and_then() -> None:
    film = [Planned(1), Started("a.mkv", "out.mkv"), Progress("a.mkv", 100, 2400, "frames")]
    later = [FIRST_LINE, Progress("a.mkv", 300, 2400, "frames"), 1.0, Progress("a.mkv", 320, 2400, "frames")]
    lines = shown(*film, *later).splitlines()
    assert lines == ["a.mkv: 300 of 2,400 frames, 20 a second, about 2 min left"]
    assert shown(*film, *later, quiet=True) == ""


def test_progress_of_files_is_a_line_now_and_then() -> None:
    done = [Done(f"{n}.jpg", f"out/{n}.jpg") for n in range(40)]
    lines = shown(Planned(1000), FIRST_LINE, *done).splitlines()
    assert lines == ["1 of 1,000 files, 0.1 a second, about 2.8 h left"]
    assert "files so far" in shown(Planned(1000, complete=False), FIRST_LINE, *done)


@pytest.mark.parametrize("exit_code", [130, 143, 129])
def test_an_interruption_says_how_far_it_was_and_what_continues_it(exit_code: int) -> None:
    film = [Planned(1), Started("a.mkv", "out.mkv"), Progress("a.mkv", 434, 2400, "frames")]
    said = shown(*film, summary(exit_code), quiet=True)
    assert said == "colorcli: interrupted after 434 of 2,400 frames; continue with --resume\n"
    files = [Planned(300), *(Done(f"{n}.jpg", f"out/{n}.jpg") for n in range(12)), Started("x", "out/x")]
    assert "after 12 of 300 files; continue with --resume" in shown(*files, summary(exit_code))
    piped = [Planned(1), Started("-", "-"), Progress("-", 434, None, "frames")]
    assert "--resume" not in shown(*piped, summary(exit_code))


def test_each_failure_stands_once_and_equal_ones_are_counted() -> None:
    refused = [
        Failed.from_error(f"{n}.jpg", RefusedError(f"out/{n}.jpg", "the output exists already", "choose"))
        for n in range(9)
    ]
    said = shown(Planned(9), *refused, summary(4, failed=9))
    assert "9 x the output exists already" in said
    assert said.count("the output exists already; choose") == SHOWN_NOTES
    once = shown(Planned(1), refused[0], summary(4, failed=1))
    assert once.count("the output exists already") == 1


def test_equal_notes_are_shown_a_few_times_and_counted() -> None:
    notes = [Note(f"{n}.tif", "16 bits left out") for n in range(50)]
    said = shown(Planned(50), *notes, summary())
    assert said.count(".tif: 16 bits left out") == SHOWN_NOTES
    assert "50 x 16 bits left out" in said


def test_the_speed_of_film_is_in_frames() -> None:
    done = Done("a.mkv", "b.mkv", "colorized", 10.0, {"frames": 500, "encoder": "x", "resumed": 100})
    assert "400, 40.0 per second" in shown(Planned(1), done, summary(colorized=1))


def test_film_of_unknown_length_can_be_planned() -> None:
    done = Done("a.ts", "b.ts", "to_colorize", 0.1, {"width": 64, "height": 48, "frames": None})
    assert "per second" not in shown(Planned(1), done, summary())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--saturation", "9"], 2),
        (["--no-such-option"], 2),
        (["--resume", "--overwrite"], 2),
        (["--model", "missing.onnx"], 3),
        (["--device", "cuda:99"], 3),
        (["--report", "/dev/null/page.html"], 2),
        (["--shard", "9/3"], 2),
        (["--dry-run"], 0),
    ],
)
def test_json_ends_with_a_summary_on_every_way_out(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = run_cli("run", PICTURE, "-o", tmp_path / "out.jpg", "--json", *arguments)
    last = events(done.stdout)[-1]
    assert (done.returncode, last["event"], last["exit_code"]) == (code, "summary", code)
    assert bool(last["problem"]) is (code != 0)
    assert sum(event["event"] == "summary" for event in events(done.stdout)) == 1
    if code:
        assert len(done.stderr.splitlines()) == 1


def test_events_on_stderr_are_not_mixed_with_messages() -> None:
    for wrong in (["--saturation", "9"], ["--model", "missing.onnx"]):
        done = run_cli("run", PICTURE, "-o", "-", "--json", *wrong)
        assert done.stdout == b""
        assert [json.loads(line)["event"] for line in done.stderr.splitlines()][-1] == "summary"


def test_a_flag_wins_over_the_configuration_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[run]\noverwrite = true\n")
    output = tmp_path / "out.jpg"
    output.write_bytes(b"precious")
    environment = {"COLORCLI_CONFIG": str(config)}
    done = run_cli("run", PICTURE, "-o", output, "--skip-existing", "--json", env=environment)
    assert (done.returncode, events(done.stdout)[-1]["skipped"]) == (0, 1)
    assert output.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("settings", "says"),
    [("saturation = 'much'", b"config.toml: [run] saturation"), ("jobs = 0", b"config.toml: [run] jobs")],
)
def test_a_bad_value_names_the_file(tmp_path: Path, settings: str, says: bytes) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[run]\n{settings}\n")
    done = run_cli("run", PICTURE, "-o", tmp_path / "x.jpg", env={"COLORCLI_CONFIG": str(config)})
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_signal_is_answered_with_what_was_done(tmp_path: Path, toy_model: Path) -> None:
    film = make(tmp_path / "in.mkv", *gray(40, "320x240"), "-c:v", "mpeg4")
    running = started("run", film, "-o", tmp_path / "out.mkv", "--model", toy_model, "--json", stderr=-1)
    assert running.stdout is not None
    while json.loads(running.stdout.readline())["event"] != "progress":
        time.sleep(0)
    running.send_signal(signal.SIGTERM)
    rest, _ = running.communicate(timeout=60)
    last = events(rest)[-1]
    assert (running.returncode, last["event"], last["exit_code"]) == (143, "summary", 143)
