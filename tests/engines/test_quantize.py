"""int8 models: what is quantized, what is not, and for whom."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from colorcli.engines.onnxruntime import OnnxEngine
from colorcli.engines.parity import compare, sample_condition
from colorcli.engines.quantize import FLOAT_CONVOLUTIONS, FOR_CPU, FOR_TENSORRT, quantize

CONDITIONS = [sample_condition((2, 4, 64, 64), seed)[n : n + 1] for seed in range(4) for n in (0, 1)]


@pytest.fixture(scope="module")
def for_cpu(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "cpu.onnx"
    quantize(exported, path, CONDITIONS, recipe=FOR_CPU)
    return path


def float_convolutions(model: onnx.ModelProto) -> list[int]:
    """Places, among all convolutions, of those whose weights are plain float32."""
    weights = {tensor.name for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [place for place, node in enumerate(convolutions) if node.input[1] in weights]


def test_the_first_layers_and_the_widest_stay_float32(for_cpu: Path) -> None:
    places = float_convolutions(onnx.load(for_cpu))
    after_the_encoder = 52  # the bottleneck's, which reads 1280 channels
    assert places == [*range(FLOAT_CONVOLUTIONS), after_the_encoder]


def test_it_gives_nearly_the_colours_of_float32(exported: Path, for_cpu: Path) -> None:
    with OnnxEngine(exported, "cpu") as reference, OnnxEngine(for_cpu, "cpu") as engine:
        assert engine.card.precision == "int8"
        for row in compare(reference, engine):
            assert row.within("int8"), row


def test_tensorrt_gets_zero_points_of_zero_and_float_biases(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "tensorrt.onnx"
    quantize(exported, path, CONDITIONS, recipe=FOR_TENSORRT)
    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zero_points = [
        values[n.input[2]] for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")
    ]
    assert zero_points
    assert all(points.dtype == np.int8 and not points.any() for points in zero_points)
    for node in graph.node:
        if node.op_type == "Conv":
            assert values[node.input[2]].dtype == np.float32
