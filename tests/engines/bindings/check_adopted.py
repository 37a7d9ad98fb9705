"""Run by `test_tensorrt.py`, once for each version of the bindings: engines of other projects' models.

ONNX Runtime computes in the place of the engine that TensorRT's parser and builder would make of the file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import stand_ins
from support.engine_files import ENGINE, PROFILE
from support.fake_cuda import FakeGpu, OnnxContext, fail_after, fake_gpu, stand_in_for_tensorrt

from colorcli.engines.builders.export import export_model
from colorcli.engines.builders.request import ExportRequest
from colorcli.engines.engine_file import EngineOptions, read_engine_file
from colorcli.engines.onnxruntime import OnnxEngine
from colorcli.errors import SetupError
from colorcli.models import open_model

Adopted = tuple[Path, Path]
"""An ONNX file, and the engine file that was made of it."""


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    return fake_gpu(monkeypatch)


@pytest.fixture(params=[("siggraph17", 64), ("eccv16-caffe", None), ("deoldify", None)], ids=str)
def adopted(
    request: pytest.FixtureRequest, gpu: FakeGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Adopted:
    kind, size = request.param
    source, output = stand_ins.write(tmp_path / "adopted.onnx", kind, size), tmp_path / "adopted.engine"
    network = OnnxEngine(source, "cpu")
    inputs, outputs = (
        {spec.name: tuple(length or -1 for length in spec.shape) for spec in specs}
        for specs in (network.inputs, network.outputs)
    )
    stand_in_for_tensorrt(inputs, outputs, lambda: OnnxContext(network), [], monkeypatch)
    monkeypatch.setattr("colorcli.engines.builders.export._build", lambda *_: ENGINE)
    options = EngineOptions((PROFILE, PROFILE))
    made = ExportRequest(source, output, engine=options, kind=kind, device="cuda:0")
    export_model(made, lambda phase, done, steps: True)
    return source, output


def lumas(shape: tuple[int, int]) -> list[Any]:
    return list(np.random.default_rng(0).random((2, *shape), np.float32))


@pytest.mark.parametrize("shape", [(64, 64), (40, 72), (128, 96)])
def test_models_of_other_projects_run_as_engines(adopted: Adopted, shape: tuple[int, int]) -> None:
    """What the export wrote says its kind, and fits the sizes of the model."""
    source, output = adopted
    kind = read_engine_file(output)[0].kind
    with open_model(output) as compiled, open_model(source, "cpu", kinds=kind) as reference:
        assert (compiled.kind, compiled.device) == (kind, "cuda:0")
        ours, expected = (model.predict(lumas(shape), [None] * 2) for model in (compiled, reference))
        for one, other in zip(ours, expected, strict=True):
            inner = np.s_[:, : shape[0] - 4, : shape[1] - 4]  # a padded quarter differs at the padding
            np.testing.assert_allclose(one[inner], other[inner], atol=1e-6)


def test_models_of_other_projects_go_on_as_their_source(
    adopted: Adopted, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = adopted
    kind = read_engine_file(output)[0].kind
    fail_after(gpu, "cudaStreamSynchronize", 0, monkeypatch)
    with open_model(output) as compiled, open_model(source, "cpu", kinds=kind) as reference:
        ours, expected = (model.predict(lumas((64, 64)), [None] * 2) for model in (compiled, reference))
        np.testing.assert_array_equal(ours, expected)
        assert "on the CPU from here on" in compiled.take_note()
    source.write_bytes(source.read_bytes() + b"\x12\x00")  # another file now
    with open_model(output) as compiled, pytest.raises(SetupError, match=r"adopted\.onnx is not what it was"):
        compiled.predict(lumas((64, 64)), [None] * 2)


def test_channels_last_are_refused(gpu: FakeGpu, tmp_path: Path) -> None:
    source = stand_ins.write(tmp_path / "adopted.onnx", "eccv16", channels_last=True)
    output = tmp_path / "adopted.engine"
    request = ExportRequest(source, output, engine=EngineOptions((PROFILE,)), kind="eccv16", device="cuda:0")
    with pytest.raises(SetupError, match="channels first"):
        export_model(request, lambda phase, done, steps: True)
    assert not output.exists()
