"""int8 models: which layers are quantized, and with what settings."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from colorcli.engines.builders.parity import compare, default_shapes, sample_condition
from colorcli.engines.builders.quantize import FLOAT_PARTS, FOR_CPU, FOR_TENSORRT, quantize
from colorcli.models import open_model
from colorcli.options import DEFAULT_MODEL

INPUTS = [
    {"condition": sample_condition((2, 4, 64, 64), seed)[n : n + 1]} for seed in range(4) for n in (0, 1)
]


@pytest.fixture(scope="module")
def for_cpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "cpu.onnx"
    quantize(DEFAULT_MODEL, path, INPUTS, settings=FOR_CPU)
    return path


def test_only_the_encoder_and_the_layer_after_it_stay_float32(for_cpu: Path) -> None:
    named = [node.input[1] for node in onnx.load(DEFAULT_MODEL).graph.node if node.op_type == "Conv"]
    quantized = onnx.load(for_cpu).graph
    weights = {tensor.name for tensor in quantized.initializer}
    plain = [node.input[1] for node in quantized.node if node.op_type == "Conv" and node.input[1] in weights]
    assert plain == [name for name in named if name.startswith(FLOAT_PARTS)]
    assert 0 < len(plain) < len(named)


def test_logits_stay_float32(for_cpu: Path) -> None:
    graph = onnx.load(for_cpu).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    (softmax,) = (node for node in graph.node if node.op_type == "Softmax")
    assert made_by[softmax.input[0]] != "DequantizeLinear"
    assert all(
        made_by.get(name) != "DequantizeLinear"
        for node in graph.node
        if node.op_type == "MatMul"
        for name in node.input[1:]
    )


def test_it_gives_nearly_the_colors_of_float32(for_cpu: Path) -> None:
    with open_model(DEFAULT_MODEL, "cpu") as reference, open_model(for_cpu, "cpu") as model:
        assert model.card.precision == "int8"
        for row in compare(reference, model, default_shapes(32)):
            assert row.within("int8"), row


def test_tensorrt_gets_zero_points_of_zero_and_float_biases(tmp_path: Path) -> None:
    path = tmp_path / "tensorrt.onnx"
    quantize(DEFAULT_MODEL, path, INPUTS, settings=FOR_TENSORRT)
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
