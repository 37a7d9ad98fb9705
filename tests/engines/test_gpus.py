"""GPUs that are not there: WebGPU on a driver in software, NVIDIA's real builder over an empty driver.

Both need a machine that seems to have a GPU, so root in a mount namespace; and what they run.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from support import fake_gpus, stand_ins, videos
from support.cli import COMMAND
from support.fake_gpus import seeing

from colorcli.engines.digest import file_digest
from colorcli.engines.engine_file import KIND_KEY, SOURCE_KEY
from colorcli.engines.plugins import PLUGINS

ROOT = Path(__file__).parents[2]
PHOTOGRAPH = ROOT / "examples" / "within_our_gates_1920.jpg"


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PCI bus with one GPU."""
    if reason := fake_gpus.why_no_namespace():
        pytest.skip(f"a GPU to find {reason}")
    return fake_gpus.pci_bus(tmp_path_factory.mktemp("pci"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a user with a cache folder that starts empty."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "200"}


def run(bus: Path, environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = seeing(bus, [*COMMAND, *map(str, arguments)])
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


# WebGPU


@pytest.fixture(scope="module")
def webgpu(environment: dict[str, str]) -> dict[str, str]:
    """An environment in which WebGPU runs on SwiftShader."""
    if not PLUGINS["webgpu"].is_installed:
        pytest.skip(PLUGINS["webgpu"].install)
    if not fake_gpus.SWIFTSHADER.is_file():
        pytest.skip("apt-get install chromium libvulkan1, for its driver in software")
    return {**environment, "VK_ICD_FILENAMES": str(fake_gpus.SWIFTSHADER)}


def run_contract(bus: Path, environment: dict[str, str], kind: str) -> str:
    """Run the suite of all engines with this plugin; returns what pytest says."""
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider"]
    command += [str(Path(__file__).with_name("test_contract.py")), "-k", kind]
    done = subprocess.run(seeing(bus, command), env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_webgpu_keeps_the_contract_of_engines(bus: Path, webgpu: dict[str, str]) -> None:
    said = run_contract(bus, webgpu, "webgpu")
    assert " passed" in said
    assert "skipped" not in said


def code_values(path: Path) -> list[np.ndarray]:
    """Luma, Cb and Cr of a JPEG as they are stored, or of all frames of a film."""
    if path.suffix == ".jpg":
        with Image.open(path) as picture:
            picture.draft("YCbCr", picture.size)
            return list(np.asarray(picture).transpose(2, 0, 1))
    return [videos.planes(path, index) for index in range(3)]


def test_webgpu_gives_the_colors_of_the_cpu(
    bus: Path, webgpu: dict[str, str], toy_model: Path, tmp_path: Path
) -> None:
    film = videos.make(tmp_path / "film.mkv", *videos.gray(size="96x64", rate="10"), "-c:v", "ffv1")
    for device in ("webgpu", "cpu"):
        where = ["--device", device, "--model", toy_model, "--jobs", "1"]
        done = run(bus, webgpu, "run", PHOTOGRAPH, film, "-o", tmp_path / device, "--codec", "ffv1", *where)
        assert done.returncode == 0, done.stderr
    for name in (PHOTOGRAPH.name, film.name):
        ours, reference = (code_values(tmp_path / device / name) for device in ("webgpu", "cpu"))
        np.testing.assert_array_equal(ours[0], reference[0])
        for one, other in zip(ours[1:], reference[1:], strict=True):
            assert np.ptp(other) > 10
            np.testing.assert_allclose(np.asarray(one, int), np.asarray(other, int), atol=1)


def test_software_is_named_and_never_chosen(bus: Path, webgpu: dict[str, str], toy_model: Path) -> None:
    done = run(bus, webgpu, "doctor", "--json", "--again", "--model", toy_model)
    assert done.returncode == 0, done.stderr
    findings = {each["what"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["--device auto"]["detail"].startswith("takes cpu")
    (software,) = (name for name in findings if "SwiftShader" in name)
    assert "never" in findings[software]["detail"]


def test_a_gpu_comes_with_the_command_that_uses_it(
    tmp_path: Path, environment: dict[str, str], toy_model: Path
) -> None:
    if reason := fake_gpus.why_no_namespace():
        pytest.skip(f"a GPU to find {reason}")
    radeon = fake_gpus.pci_bus(tmp_path / "pci", "0x1002", "0x744c")
    hidden = {**environment, "PYTHONPATH": str(tmp_path)}
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if '_ep_' in name else find(name, *more)\n"
    )
    done = run(radeon, hidden, "doctor", "--json", "--model", toy_model)
    (gpu,) = (each for each in json.loads(done.stdout)["findings"] if each["what"].startswith("AMD"))
    assert gpu["remedy"] == PLUGINS["webgpu"].install
    done = run(radeon, hidden, "run", PHOTOGRAPH, "-o", tmp_path / "out", "--device", "webgpu")
    assert done.returncode == 3
    assert PLUGINS["webgpu"].install in done.stderr


def test_webgpu_without_a_gpu_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    if not PLUGINS["webgpu"].is_installed:
        pytest.skip(PLUGINS["webgpu"].install)
    if PLUGINS["webgpu"].devices():
        pytest.skip("this machine has a GPU")
    command = [*COMMAND, "run", str(PHOTOGRAPH), "-o", str(tmp_path), "--device", "webgpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert "WebGPU finds 0 GPUs" in done.stderr


# TensorRT for RTX


@pytest.fixture(scope="module")
def rtx(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which NVIDIA's builder takes the machine for one with an RTX 40 card."""
    if not PLUGINS["rtx"].is_installed:
        pytest.skip(PLUGINS["rtx"].install)
    return {**environment, **stubbed(tmp_path_factory.mktemp("stubs"), (8, 9))}


def stubbed(folder: Path, capability: tuple[int, int]) -> dict[str, str]:
    """The environment of a machine with a card of this compute capability."""
    spec = find_spec(PLUGINS["rtx"].module)
    assert spec is not None and spec.origin is not None
    return fake_gpus.stub_driver(folder, Path(spec.origin).parent, capability)


def test_rtx_keeps_the_contract_of_engines_as_far_as_it_goes_without_a_card(
    bus: Path, rtx: dict[str, str]
) -> None:
    said = run_contract(bus, rtx, "rtx")
    assert " passed" in said
    assert "only seems to be there" in said


ONE = ["1x256x256", "4x512x512", "16x1024x1024"]
SMALL, LARGE = ["1x64x64", "1x64x64", "1x64x64"], ["1x512x512", "1x768x768", "2x1024x1024"]


@pytest.mark.parametrize(
    ("target", "precision", "profiles"),
    [("sm86", "fp32", []), ("sm89", "fp16", [ONE]), ("sm120", "int8", [SMALL, ONE, LARGE])],
)
def test_the_built_in_model_is_compiled_whole(
    bus: Path, rtx: dict[str, str], tmp_path: Path, target: str, precision: str, profiles: list[list[str]]
) -> None:
    options = ["--precision", precision, "--target", target]
    options += ["--calibrate", str(PHOTOGRAPH.parent)] if precision == "int8" else []
    for profile in profiles:
        options += [word for pair in zip(("--min", "--opt", "--max"), profile, strict=True) for word in pair]
    output = tmp_path / "model.rtx.onnx"
    done = run(bus, rtx, "export", "default", "-o", output, *options)
    assert (done.returncode, done.stderr) == (0, "")
    model = onnx.load(output)
    assert [node.op_type for node in model.graph.node] == ["EPContext"]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["colorcli.card"])["precision"] == precision
    assert json.loads(metadata["colorcli.rtx"])["target"] == target


def test_a_file_for_another_card_or_damaged_is_refused_with_its_command(
    bus: Path, rtx: dict[str, str], tmp_path: Path
) -> None:
    model = tmp_path / "model.rtx.onnx"
    assert run(bus, rtx, "export", "default", "-o", model, "--target", "sm86").returncode == 0
    done = run(bus, rtx, "run", PHOTOGRAPH, "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 3
    assert "compiled for sm86, but this machine's card is sm89" in done.stderr
    assert f"colorcli export default -o {model} --overwrite --precision fp32" in done.stderr
    model.write_bytes(model.read_bytes()[:100_000])
    done = run(bus, rtx, "run", PHOTOGRAPH, "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 3
    assert "damaged" in done.stderr
    assert f"-o {model} --overwrite" in done.stderr


@pytest.mark.parametrize("kind", ["deoldify", "eccv16-caffe"])
def test_models_of_other_projects_are_compiled_and_say_their_kind(
    bus: Path, rtx: dict[str, str], tmp_path: Path, kind: str
) -> None:
    model = stand_ins.write(tmp_path / "adopted.onnx", kind)
    output = tmp_path / "adopted.rtx.onnx"
    done = run(bus, rtx, "export", model, "-o", output, "--target", "sm89", "--model-kind", kind)
    assert (done.returncode, done.stderr) == (0, "")
    compiled = onnx.load(output)
    assert [node.op_type for node in compiled.graph.node] == ["EPContext"]
    metadata = {entry.key: entry.value for entry in compiled.metadata_props}
    assert (metadata[KIND_KEY], metadata[SOURCE_KEY]) == (kind, file_digest(model))


def test_a_model_is_compiled_at_first_use_and_kept_for_the_card(
    bus: Path, rtx: dict[str, str], toy_model: Path, tmp_path: Path
) -> None:
    """Opening what was compiled takes a driver: the error names the model, not the file in the cache."""
    environment = {**rtx, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = ["run", PHOTOGRAPH, "-o", tmp_path / "out", "--model", toy_model, "--device", "rtx"]
    done = run(bus, environment, *command)
    assert done.returncode == 3
    assert f"{toy_model}: " in done.stderr
    (compiled,) = (tmp_path / "cache" / "colorcli" / "rtx").glob("*.rtx.onnx")
    assert [node.op_type for node in onnx.load(compiled).graph.node] == ["EPContext"]
    made = compiled.stat().st_mtime_ns
    run(bus, environment, *command)
    assert compiled.stat().st_mtime_ns == made
    other = stubbed(tmp_path / "stubs", (12, 0))
    run(bus, {**environment, **other}, *command)
    assert len(list(compiled.parent.glob("*.rtx.onnx"))) == 2


def test_a_plugin_that_does_not_load_says_what_it_needs(tmp_path: Path) -> None:
    if not PLUGINS["rtx"].is_installed:
        pytest.skip(PLUGINS["rtx"].install)
    command = [*COMMAND, "run", str(PHOTOGRAPH), "-o", str(tmp_path), "--device", "rtx"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert "does not load" in done.stderr
    assert "NVIDIA's driver" in done.stderr


def test_cards_of_data_centers_are_refused_by_name(tmp_path: Path) -> None:
    command = [*COMMAND, "export", "default", "-o", str(tmp_path / "m.rtx.onnx"), "--target", "sm90"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "sm90 (H100)" in done.stderr
    assert "FILE.engine" in done.stderr
