"""Which backend opens a model file, and errors for what is missing."""

import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import safetensors.numpy

from colorcli import engines
from colorcli.engines import registry
from colorcli.engines.onnxruntime import OnnxEngine
from colorcli.engines.registry import BACKENDS, Backend
from colorcli.errors import SetupError
from colorcli.networks.card import CARD_KEY


def pretend_installed(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(registry, "_installed", lambda module: module in modules)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_onnx_files_go_to_onnx_runtime(toy_model: Path, device: str) -> None:
    with engines.open(toy_model, device) as engine:
        assert isinstance(engine, OnnxEngine)


@pytest.mark.skipif(bool(BACKENDS["openvino"].missing), reason=BACKENDS["openvino"].install)
def test_openvino_is_used_on_request(toy_model: Path) -> None:
    with engines.open(toy_model, "openvino") as engine:
        assert type(engine).__name__ == "OpenvinoEngine"


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt"])
def test_a_requested_gpu_never_falls_back_to_the_cpu_silently(toy_model: Path, device: str) -> None:
    import onnxruntime

    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip("this ONNX Runtime has more than the CPU")
    with pytest.raises(SetupError, match="onnxruntime-gpu"):
        engines.open(toy_model, device)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())
def test_a_missing_backend_names_what_installs_it(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch)
    path = tmp_path / f"model{backend.suffix}"
    path.touch()
    with pytest.raises(SetupError, match="not installed; pip install"):
        engines.open(path, "openvino" if backend.name == "openvino" else "auto")


def test_a_backend_whose_libraries_do_not_fit_one_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = RuntimeError("operator torchvision::nms does not exist")
    pretend_installed(monkeypatch, *BACKENDS["spandrel"].needs)
    monkeypatch.setattr(registry, "import_module", Mock(side_effect=broken))
    (tmp_path / "model.pth").touch()
    with pytest.raises(SetupError, match="spandrel is installed but does not load"):
        engines.open(tmp_path / "model.pth", "cpu")


@pytest.mark.parametrize(
    ("name", "card", "backend"),
    [("m.safetensors", True, "torch"), ("m.safetensors", False, "spandrel"), ("m.PTH", False, "spandrel")],
)
def test_checkpoints_of_others_go_to_spandrel(name: str, card: bool, backend: str, tmp_path: Path) -> None:
    path = tmp_path / name
    metadata = {CARD_KEY: "{}"} if card else None
    safetensors.numpy.save_file({"weight": np.zeros(1, np.float32)}, path, metadata)
    assert [one.name for one in registry.backends_for(path)] == [backend]


def test_a_dotted_module_whose_parent_is_missing_is_missing() -> None:
    nested = Backend("none", ".none", "none:None", ("no_such_package.part",), "pip install none")
    assert nested.missing == ["no_such_package.part"]


def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such model file"):
        engines.open(tmp_path / "none.onnx")
    odd = tmp_path / "model.caffemodel"
    odd.touch()
    with pytest.raises(SetupError, match=r"\.onnx, \.safetensors, \.pth or \.engine"):
        engines.open(odd)


def test_opening_one_backend_imports_no_other(toy_model: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from colorcli.engines.registry import BACKENDS;"
        f"BACKENDS['onnxruntime'].open(Path({str(toy_model)!r}), 'cpu');"
        "sys.exit(str({'torch', 'openvino', 'tensorrt'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
