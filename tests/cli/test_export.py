"""`colorcli export` as a command: what it writes, prints and refuses."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from colorcli.engines.engine_file import EngineOptions, Profile
from colorcli.engines.registry import BACKENDS
from colorcli.errors import SetupError
from colorcli.models import open_model
from colorcli.networks.card import CARD_KEY

pytest.importorskip("torch", reason="pip install 'colorcli[train]'")

from support import stand_ins
from support.cli import run_text

from colorcli.engines.builders import export as exporting
from colorcli.engines.builders.calibration import calibration_inputs
from colorcli.engines.builders.export import export_model
from colorcli.engines.builders.request import ExportRequest
from colorcli.options import DEFAULT_MODEL


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model, taken out."""
    path = tmp_path_factory.mktemp("run") / "generator.safetensors"
    done = export("default", "-o", path)
    assert done.returncode == 0, done.stderr
    assert all(float(value) < 0.001 for value in re.findall(r"│ (\S+)\s+│$", done.stdout, re.M))
    return path


@pytest.fixture(scope="module")
def exported(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What the command printed, and the ONNX model; tracing takes ten seconds, so it is done once."""
    output = tmp_path_factory.mktemp("exported") / "made" / "generator.onnx"
    return export(checkpoint, "-o", output), output


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Color pictures with structure, and a file that is not a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index in range(6):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(
            str(folder / f"{index}.png"), cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)
        )
    (folder / "broken.jpg").write_text("not a picture")
    return folder


def export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_text("export", *arguments, columns=120)


def test_it_writes_a_small_file_and_prints_its_accuracy(
    exported: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, output = exported
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = re.findall(r"│ (\d+)\s+│ (\d+x\d+)\s+│ (\S+)\s+│ (\S+)\s+│", done.stdout)
    assert len(rows) == 4
    assert all(float(largest) < 0.25 and float(mean) < 0.001 for *_, largest, mean in rows)
    assert [path.name for path in output.parent.iterdir()] == ["generator.onnx"]
    assert output.stat().st_size < 16e6
    model = onnx.load(output)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert {entry.key for entry in model.metadata_props} == {CARD_KEY}
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [bool(dimension.dim_param) for dimension in shape] == [True, False, True, True]


def test_an_existing_output_stays_unless_asked(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "generator.onnx"
    output.write_text("mine")
    done = export(checkpoint, "-o", output)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "--overwrite" in done.stderr
    assert output.read_text() == "mine"


def test_a_model_is_not_exported_onto_itself(checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    done = export(checkpoint, "-o", checkpoint, "--overwrite")
    assert done.returncode == 2
    assert "choose another output" in done.stderr
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize(("model", "cause"), [("none.onnx", "no such model file"), (".", "is a folder")])
def test_what_is_not_a_model_file_is_named(tmp_path: Path, model: str, cause: str) -> None:
    done = export(tmp_path / model, "-o", tmp_path / "model.onnx")
    assert done.returncode == 3
    assert cause in done.stderr
    assert "`default` is the built-in model" in done.stderr
    (tmp_path / "generator.safetensors").touch()
    assert "/generator.safetensors" in export(tmp_path, "-o", tmp_path / "model.onnx").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "model.pt"], 2, ".onnx, .engine or .safetensors"),
        (["-o", "model.safetensors", "--precision", "fp16"], 2, "leave out --precision"),
        (["-o", "model.onnx", "--precision", "bf16"], 2, "bf16 is for TensorRT"),
        (["-o", "model.onnx", "--precision", "int8"], 2, "--calibrate"),
        (["-o", "model.onnx", "--precision", "int8", "--calibrate", "nowhere"], 1, "nowhere"),
        (["-o", "model.onnx", "--evaluate", "nowhere"], 1, "nowhere: no such folder"),
        (["-o", "model.engine", "--min", "1x100x100", "--max", "1x64x64"], 2, "min to opt to max"),
        (["-o", "model.engine", "--max", "8x512x512", "--max", "1x1024x1024"], 2, "repeat all three"),
        (["-o", "model.engine", "--via", "magic"], 2, "onnx or torch2trt"),
        (["-o", "model.engine", "--target", "sm89"], 2, "--target: has no effect on model.engine"),
        (["-o", "model.onnx", "--version-compatible"], 2, "--version-compatible: has no effect"),
        (["-o", "model.onnx", "--calibrate", "nowhere"], 2, "--precision int8"),
    ],
)
def test_contradictory_requests_are_one_line_errors(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = export(checkpoint, *arguments)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_checkpoint_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "generator.safetensors"
    broken.write_text("no tensors")
    done = export(broken, "-o", tmp_path / "generator.onnx")
    assert done.returncode == 1
    assert done.stderr.startswith(f"colorcli: {broken}: ")
    assert list(tmp_path.iterdir()) == [broken]


def test_an_engine_file_without_tensorrt_says_what_is_missing(checkpoint: Path, tmp_path: Path) -> None:
    if not BACKENDS["tensorrt"].missing:
        pytest.skip("TensorRT is installed here")
    done = export(checkpoint, "-o", tmp_path / "model.engine")
    assert done.returncode == 3
    assert "tensorrt" in done.stderr
    assert "[tensorrt]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_gives_other_colors_is_deleted(
    exported: tuple[object, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = exporting.halve

    def write_with_a_fault(source: Path, output: Path) -> None:
        write(source, output)
        model = onnx.load(output)
        for node in model.graph.node:
            if node.op_type == "Softmax":
                node.op_type = "LogSoftmax"
        onnx.save(model, output)

    monkeypatch.setattr(exporting, "halve", write_with_a_fault)
    with pytest.raises(SetupError, match="off by"):
        export_model(ExportRequest(exported[1], tmp_path / "generator.onnx", "fp16"), lambda *_: True)
    assert list(tmp_path.iterdir()) == []


def test_fp16_halves_the_file(exported: tuple[object, Path], tmp_path: Path) -> None:
    output = tmp_path / "generator.onnx"
    rows = export_model(ExportRequest(exported[1], output, "fp16"), lambda *_: True)
    assert all(row.within("fp16") for row in rows)
    assert output.stat().st_size < 0.55 * exported[1].stat().st_size
    with open_model(output, "cpu") as model:
        assert model.card.precision == "fp16"


def test_int8_is_calibrated_on_pictures_and_its_cost_is_printed(
    exported: tuple[object, Path], checkpoint: Path, pictures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "generator.onnx"
    done = export(
        exported[1], "-o", output, "--precision", "int8", "--calibrate", pictures, "--evaluate", pictures
    )
    assert done.returncode == 0, done.stderr
    assert output.stat().st_size < 0.8 * checkpoint.stat().st_size
    with open_model(output, "cpu") as model, open_model(checkpoint, "cpu") as reference:
        assert model.card.precision == "int8"
        assert model.card.digest == reference.card.digest
    assert "CIEDE2000" in done.stdout
    assert len(re.findall(r"\(([+-]\d+\.\d+%)\)", done.stdout)) == 4


def test_calibration_pictures_come_with_and_without_hints(pictures: Path) -> None:
    files = sorted(pictures.iterdir())
    conditions = [inputs["condition"] for inputs in calibration_inputs(DEFAULT_MODEL, "auto", files)]
    assert len(conditions) == 6
    hinted = [bool(condition[:, 3].any()) for condition in conditions]
    assert any(hinted)
    assert not all(hinted)


@pytest.fixture
def without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which no process can import what `colorcli[train]` installs."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'onnxscript', 'skimage', 'tensorboard'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hidden))


@pytest.mark.usefixtures("without_torch")
def test_the_built_in_model_is_exported_without_torch(pictures: Path, tmp_path: Path) -> None:
    for name, *options in (
        ("half.onnx", "--precision", "fp16"),
        ("small.onnx", "--precision", "int8", "--calibrate", pictures),
        ("generator.safetensors",),
    ):
        done = export("default", "-o", tmp_path / name, *options)
        assert (done.returncode, done.stderr) == (0, "")
    for name, precision in (("half.onnx", "fp16"), ("small.onnx", "int8")):
        with open_model(tmp_path / name, "cpu") as model, open_model(DEFAULT_MODEL, "cpu") as reference:
            assert model.card == replace(reference.card, precision=precision)
    done = export(tmp_path / "generator.safetensors", "-o", tmp_path / "again.onnx")
    assert done.returncode == 3
    assert "[train]" in done.stderr


def test_a_checkpoint_taken_out_gives_the_same_model_again(exported: tuple[object, Path]) -> None:
    with open_model(DEFAULT_MODEL, "cpu") as reference, open_model(exported[1], "cpu") as model:
        assert model.card == reference.card
        luma = np.random.default_rng(0).random((64, 96), np.float32)
        expected, actual = (one.predict([luma], [None])[0] for one in (reference, model))
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["ddcolor", "deoldify", "siggraph17"])
def test_models_of_other_projects_are_exported_in_fp16(kind: str, tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "adopted.onnx", kind)
    output = tmp_path / "half.onnx"
    done = export(model, "-o", output, "--precision", "fp16", "--model-kind", kind)
    assert done.returncode == 0, done.stderr
    types = {tensor.data_type for tensor in onnx.load(output).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types
    with open_model(output, "cpu") as exported:  # the file says its kind
        assert exported.kind == kind
    done = export(model, "-o", tmp_path / "generator.safetensors", "--model-kind", kind)
    assert done.returncode == 1
    assert "no model card" in done.stderr


def test_rounded_weights_are_not_exported_again(tmp_path: Path) -> None:
    model = stand_ins.write(tmp_path / "half.onnx", "deoldify", half=True)
    for name in ("again.onnx", "generator.safetensors"):
        done = export(model, "-o", tmp_path / name, "--model-kind", "deoldify")
        assert done.returncode == 1
        assert "rounded to fp16" in done.stderr
        assert not (tmp_path / name).exists()


def test_a_request_is_written_as_its_command() -> None:
    profiles = (
        Profile((1, 64, 64), (4, 128, 128), (8, 256, 256)),
        Profile((1, 64, 64), (1, 512, 512), (1, 512, 512)),
    )
    request = ExportRequest(
        Path("my run/generator.safetensors"),
        Path("model.engine"),
        precision="fp16",
        engine=EngineOptions(profiles, version_compatible=True),
    )
    assert request.command == (
        "colorcli export 'my run/generator.safetensors' -o model.engine --overwrite --precision fp16 "
        "--min 1x64x64 --opt 4x128x128 --max 8x256x256 --min 1x64x64 --opt 1x512x512 --max 1x512x512 "
        "--version-compatible"
    )
