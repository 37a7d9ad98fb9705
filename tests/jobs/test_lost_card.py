"""A card that is lost in the middle of a run, through the command line: nothing is lost with it."""

import os
from pathlib import Path

import numpy as np
import pytest
from support import videos
from support.cli import events, run_cli

PHOTOGRAPH = Path(__file__).parents[2] / "examples" / "within_our_gates_1920.jpg"
CARD = """
import colorcli.engines.onnxruntime as module
from colorcli.engines import choice, gpus
from colorcli.engines.base import DeviceError

CPU = module.OnnxEngine

class Card(CPU):
    calls = 0

    def __init__(self, path, device="auto", threads=None):
        super().__init__(path, "cpu", threads)
        self.device = device

    def run(self, tensors):
        if self.device != "cpu":
            Card.calls += 1
            if len(tensors["condition"]) > {largest} or Card.calls > {calls}:
                raise DeviceError(self.device, "the device failed (simulated)", "use --device cpu")
        return super().run(tensors)

module.OnnxEngine = Card
choice.fastest_device = lambda path, open_on: "webgpu:0"
gpus.has_gpu = lambda: True
"""


def machine(folder: Path, *, largest: int = 99, calls: int = 9999) -> dict[str, str]:
    """The environment of a machine whose card takes so many pictures at once, for so many calls."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CARD.format(largest=largest, calls=calls))
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shots, of which the last shows what the first one did."""
    source = "testsrc2=s=96x64:r=25,trim=end_frame=30,hue=s=0,negate=enable=between(n\\,10\\,19)"
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return videos.make(path, "-f", "lavfi", "-i", source, "-c:v", "ffv1")


@pytest.fixture(scope="module")
def expected(film: Path, toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the CPU makes of the photograph and the film."""
    folder = tmp_path_factory.mktemp("expected")
    done = run_cli("run", PHOTOGRAPH, film, "-o", folder, "--model", toy_model, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(("largest", "calls", "jobs"), [(99, 0, 1), (99, 2, 2), (1, 9999, 2)])
def test_the_outputs_are_whole_and_the_run_says_so_once(
    film: Path, expected: Path, toy_model: Path, tmp_path: Path, largest: int, calls: int, jobs: int
) -> None:
    environment = machine(tmp_path / "site", largest=largest, calls=calls)
    options = ["--model", toy_model, "--codec", "ffv1", "--jobs", jobs, "--json"]
    done = run_cli("run", film, PHOTOGRAPH, "-o", tmp_path, *options, env=environment)
    assert done.returncode == 0, done.stderr
    notes = [each["message"] for each in events(done.stdout) if each["event"] == "note"]
    failures = [note for note in notes if "failed" in note]
    assert len(failures) <= 2  # film and images are done by two processes
    assert failures or largest == 1
    assert (tmp_path / PHOTOGRAPH.name).read_bytes() == (expected / PHOTOGRAPH.name).read_bytes()
    for plane in range(3):
        ours, reference = (videos.planes(folder / film.name, plane) for folder in (tmp_path, expected))
        np.testing.assert_array_equal(ours, reference)


def test_a_card_that_the_user_named_fails_clearly_and_the_run_goes_on_elsewhere(
    film: Path, expected: Path, toy_model: Path, tmp_path: Path
) -> None:
    environment = machine(tmp_path / "site", calls=0)
    command = ["run", film, "-o", tmp_path, "--model", toy_model, "--codec", "ffv1"]
    done = run_cli(*command, "--device", "webgpu", env=environment)
    assert done.returncode != 0
    assert b"webgpu: the device failed (simulated)" in done.stderr
    done = run_cli(*command, "--resume", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    ours, reference = (videos.planes(folder / film.name, 1) for folder in (tmp_path, expected))
    np.testing.assert_array_equal(ours, reference)
