"""The state of an output folder: runs do not mix in it unasked, and all of them make one report."""

import json
from pathlib import Path

import jsonschema
import pytest
from support.broken import BROKEN, write_all
from support.cli import events, leftovers, run_cli
from support.scans import contents, pictures
from support.toy import toy_generator

from colorcli.errors import ExitCode
from colorcli.jobs.identity import differences, identity_of
from colorcli.options import ColorOptions, RunOptions, VideoOptions

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text())


def test_a_resumed_run_does_not_mix_options(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 2)
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model)
    assert run_cli(*common).returncode == 0
    before = contents(tmp_path / "out")
    pictures(tmp_path / "in", 3)
    refused = run_cli(*common, "--resume", "--saturation", "0.5")
    assert refused.returncode == ExitCode.REFUSED
    assert b"another --saturation" in refused.stderr
    assert refused.stderr.count(b"\n") == 1
    assert contents(tmp_path / "out") == before
    # A refused run leaves no trace, nor does one that finds every output in its way.
    assert run_cli("run", tmp_path / "in/000.png", *common[2:], "--saturation", "0.5").returncode == 4
    assert run_cli(*common, "--resume").returncode == 0
    assert len(contents(tmp_path / "out")) == 3
    assert run_cli(*common, "--force-resume", "--saturation", "0.5").returncode == 0
    assert before.items() <= contents(tmp_path / "out").items()


def test_a_run_over_another_counts_as_a_mixture(tmp_path: Path, toy_model: Path) -> None:
    """An interrupted `--overwrite` with other options leaves outputs of both kinds."""
    pictures(tmp_path / "in", 1)
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model)
    assert run_cli(*common).returncode == 0
    assert run_cli(*common, "--overwrite", "--saturation", "0.5").returncode == 0
    assert run_cli(*common, "--resume", "--saturation", "0.5").returncode == ExitCode.REFUSED


def test_the_identity_is_what_outputs_depend_on(tmp_path: Path, toy_model: Path) -> None:
    def identity(**options: object) -> dict[str, object]:
        color = {"model": (toy_model,), **options}
        return identity_of(RunOptions(color=ColorOptions(**color)))  # type: ignore[arg-type]

    other = toy_generator(tmp_path / "elsewhere.onnx")
    assert identity() == identity(model=(other,)), "a copy of the model elsewhere is the same model"
    other.write_bytes(other.read_bytes() + b"\0")
    hints = tmp_path / "hints.json"
    hints.write_text("[]")
    for changed, name in (
        (identity(model=(other,)), "model"), (identity(size=64), "size"), (identity(hints=hints), "hints"),
    ):  # fmt: skip
        assert differences(identity(), changed) == [name]
    assert differences(identity(), identity(device="cpu")) == []
    film = RunOptions(color=ColorOptions((toy_model,)), video=VideoOptions(crf=20))
    assert differences(identity(), identity_of(film)) == ["crf"]


def test_shards_make_one_report(tmp_path: Path, toy_model: Path) -> None:
    sources = pictures(tmp_path / "in", 9)
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--resume", "--shard")
    for shard in ("1/3", "2/3"):
        assert run_cli(*common, shard).returncode == 0
    unfinished = run_cli("merge", tmp_path / "out")
    assert unfinished.returncode == ExitCode.SOME_FAILED
    assert b"3/3" in unfinished.stderr
    for shard in ("3/3", "2/3"):  # a queue may start a task twice
        assert run_cli(*common, shard).returncode == 0
    merged = run_cli("merge", tmp_path / "out", "--json", "--report", tmp_path / "page.html")
    reported = events(merged.stdout)
    for event in reported:
        jsonschema.validate(event, SCHEMA)
    assert merged.returncode == 0
    assert sorted(event["input"] for event in reported[:-1]) == sorted(map(str, sources))
    assert {event["action"] for event in reported[:-1]} == {"colorized"}
    assert reported[-1]["colorized"] == 9
    assert (tmp_path / "page.html").stat().st_size > 0
    assert not leftovers(tmp_path / "out")
    alone = ("run", tmp_path / "in", "-o", tmp_path / "alone", "--model", toy_model)
    assert run_cli(*alone).returncode == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_a_failure_is_reported_until_it_is_mended(tmp_path: Path, toy_model: Path) -> None:
    good = pictures(tmp_path / "in", 2)
    broken = write_all(tmp_path / "in", {"bad.jpg": BROKEN["text.jpg"]})[0]
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--resume")
    assert run_cli(*common).returncode == ExitCode.SOME_FAILED
    merged = run_cli("merge", tmp_path / "out", "--json")
    assert merged.returncode == ExitCode.SOME_FAILED
    assert [event["input"] for event in events(merged.stdout) if event["event"] == "failed"] == [str(broken)]
    broken.write_bytes(good[1].read_bytes())
    assert run_cli(*common).returncode == 0
    assert run_cli("merge", tmp_path / "out").returncode == 0
    assert b"2 done" in run_cli("status", tmp_path / "out").stdout
    states = events(run_cli("status", tmp_path / "out", "--json").stdout)
    assert [state["results"]["failed"] for state in states] == [1, 0]


@pytest.mark.parametrize("command", ["merge", "status"])
def test_a_folder_without_a_run_is_refused(command: str, tmp_path: Path) -> None:
    log = tmp_path / ".colorcli" / "log" / "host-1-0.ndjson"
    log.parent.mkdir(parents=True)
    for damaged in (None, b"", b'{"event": "ru', b'{"event": "run", "host": "a"}\n', b"[1]\n", b"\xff\xfe\n"):
        if damaged is not None:
            log.write_bytes(damaged)
        done = run_cli(command, tmp_path)
        assert done.returncode == ExitCode.USAGE
        assert done.stderr.count(b"\n") == 1


def test_a_damaged_identity_is_named(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 1)
    identity_file = tmp_path / "out" / ".colorcli" / "identity" / "0.json"
    identity_file.parent.mkdir(parents=True)
    for damaged in ("{", "[1]"):
        identity_file.write_text(damaged)
        done = run_cli("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--resume", "-q")
        assert done.returncode == ExitCode.SOME_FAILED
        assert f"{identity_file}: damaged".encode() in done.stderr


def test_a_line_that_a_dying_machine_left_unfinished_is_left_out(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 2)
    run_cli("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model)
    (log,) = (tmp_path / "out" / ".colorcli" / "log").iterdir()
    log.write_bytes(log.read_bytes() + b'\xff\n{"name": "001.jpg", "event": "do')
    assert run_cli("merge", tmp_path / "out", "--json").returncode == 0
