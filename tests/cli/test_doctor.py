"""`colorcli doctor` in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import stand_ins

from colorcli.engines.registry import BACKENDS


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import typer; from colorcli.cli.doctor import doctor; typer.run(doctor)"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def healthy(toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found about the toy and about a model of another project."""
    other = stand_ins.write(tmp_path_factory.mktemp("other") / "other.onnx", "deoldify", 64)
    models = ["--model", str(toy_model), "--model", str(other)]
    done = doctor("--json", *models, "--model-kind", "auto", "--model-kind", "deoldify")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {finding["what"]: finding["state"] for finding in answer["findings"]}


def test_every_backend_is_reported_as_it_is(healthy: dict[str, Any]) -> None:
    for backend in BACKENDS.values():
        assert states(healthy)[backend.name] == ("missing" if backend.missing else "ok")
    assert states(healthy)["ffmpeg"] == "ok"
    assert states(healthy)["model"] == "ok"


def test_missing_parts_come_with_the_command_that_installs_them(healthy: dict[str, Any]) -> None:
    for finding in healthy["findings"]:
        assert (finding["state"] == "ok") == (finding["remedy"] == "")


@pytest.mark.parametrize("model", ["toy.onnx", "other.onnx"])
def test_installed_backends_for_each_model_are_timed(healthy: dict[str, Any], model: str) -> None:
    timed = {speed["backend"] for speed in healthy["speeds"] if speed["model"] == model}
    assert timed == {name for name, b in BACKENDS.items() if b.suffix == ".onnx" and not b.missing}
    assert any(each["what"] == "model" and each["detail"].endswith(model) for each in healthy["findings"])
    assert all(speed["milliseconds"] > 0 and speed["batch_milliseconds"] > 0 for speed in healthy["speeds"])


def test_a_missing_model_is_reported_as_broken(tmp_path: Path) -> None:
    done = doctor("--json", "--model", str(tmp_path / "none.onnx"))
    assert done.returncode == 3
    assert states(json.loads(done.stdout))["model"] == "broken"


def test_a_missing_ffmpeg_is_reported_as_broken(toy_model: Path, tmp_path: Path) -> None:
    done = doctor("--model", str(toy_model), COLORCLI_FFMPEG=str(tmp_path / "none"), COLUMNS="200")
    assert done.returncode == 3
    (line,) = [line for line in done.stdout.splitlines() if "ffmpeg" in line and "broken" in line]
    assert "version 5.1" in line


def test_extras_keep_their_brackets_in_the_table(toy_model: Path) -> None:
    missing = [backend for backend in BACKENDS.values() if backend.missing]
    if not missing:
        pytest.skip("every backend is installed here")
    assert missing[0].install in doctor("--model", str(toy_model), COLUMNS="200").stdout
