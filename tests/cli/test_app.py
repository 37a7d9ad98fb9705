"""The command line: version, help, one-line errors with their exit codes, configuration, man page."""

import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest
from support.cli import COMMAND, run_text

ROOT = Path(__file__).parents[2]


def colorcli(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"env": {**os.environ, "COLUMNS": "200", **variables}} if variables else {}
    return run_text(*arguments, columns=200, **environment)


def test_version() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("colorcli ")


@pytest.mark.parametrize("command", ["run", "train", "export", "eval", "doctor"])
def test_every_command_explains_itself(command: str) -> None:
    done = colorcli(command, "--help")
    assert done.returncode == 0
    assert f"colorcli {command}" in done.stdout
    assert not re.search(r"<(bool|int|float|str|list\[Path)", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, "no output given"),
        (["run", "-o", "out"], 2, "no input given"),
        (["run", "a.jpg", "-o", "out", "--resume", "--overwrite"], 2, "exclude each other"),
        (["run", "a.jpg", "-o", "out", "--model", "missing.onnx"], 3, "missing.onnx"),
        (["run", "a.jpg", "-o", "out", "--from-file", "missing.txt"], 2, "missing.txt"),
        (["train", "missing", "-o", "out"], 1, "missing"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes((ROOT / "examples" / "within_our_gates_1920.jpg").read_bytes())
    done = run_text(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_flag_over_variable_over_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[run]\nmodel = "of-file.onnx"\n')
    output, picture = str(tmp_path / "out"), str(ROOT / "examples" / "within_our_gates_1920.jpg")
    run = ["run", picture, "-o", output]
    config = {"COLORCLI_CONFIG": str(file)}
    assert "of-file.onnx" in colorcli(*run, **config).stderr
    assert "of-variable.onnx" in colorcli(*run, **config, COLORCLI_MODEL="of-variable.onnx").stderr
    flag = colorcli(*run, "--model", "of-flag.onnx", **config, COLORCLI_MODEL="of-variable.onnx")
    assert "of-flag.onnx" in flag.stderr


def test_a_broken_configuration_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("not toml")
    done = colorcli("doctor", COLORCLI_CONFIG=str(tmp_path / "config.toml"))
    assert done.returncode == 2
    assert "config.toml" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"), [("[run]\nsaturatoin = 2\n", "saturatoin"), ("[rum]\nquiet = true\n", "rum")]
)
def test_unknown_settings_are_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    done = colorcli("doctor", COLORCLI_CONFIG=str(tmp_path / "config.toml"))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_settings_are_named_like_flags(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[run]\nformat = "xyz"\nmax-pixels = 5\n')
    picture = str(ROOT / "examples" / "within_our_gates_1920.jpg")
    done = colorcli("run", picture, "-o", "-", COLORCLI_CONFIG=str(tmp_path / "config.toml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--format xyz" in done.stderr


def test_the_man_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_man.py"))["man_page"]()
    assert (ROOT / "docs" / "colorcli.1").read_text() == page, "run docs/make_man.py"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_may_be_written_on_windows(encoding: str, tmp_path: Path) -> None:
    picture = ROOT / "examples" / "within_our_gates_1920.jpg"
    (tmp_path / "list.txt").write_bytes(f"{picture}\r\n\r\n".encode(encoding))
    flags = ["--from-file", str(tmp_path / "list.txt"), "-o", str(tmp_path / "out"), "--dry-run"]
    assert colorcli("run", *flags).stdout.split("\t")[:2] == ["color", str(picture)]


def test_a_report_that_cannot_be_written_is_refused_before_work_starts(tmp_path: Path) -> None:
    picture = ROOT / "examples" / "within_our_gates_1920.jpg"
    for flag in ("--report", "--contact-sheet"):
        done = colorcli("run", str(picture), "-o", str(tmp_path / "out"), flag, str(picture / "page"))
        assert done.returncode == 2
        assert flag in done.stderr
    assert not (tmp_path / "out").exists()
