"""Converts a float32 ONNX model to float16, with input and output in float32."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from colorcli.engines.builders.graph import load, metadata_of, stamp
from colorcli.engines.builders.quiet import quiet

FLOAT_PARTS = ("generator.encoder.blocks.0.",)
"""Prefixes of the weights of convolutions that stay float32. The encoder's first depthwise weights reach 56:
in float16 they move the shipped model's chroma by 0.5 code values in the mean, in float32 by 0.1 to 0.25."""
PRODUCTS = ("MatMul", "Gemm", "Conv")
FLOAT_OPERATORS = [*DEFAULT_OP_BLOCK_LIST, "ReduceMean"]
"""Means over a whole picture add up more values than float16 can hold."""


def halve(model: Path, output: Path) -> None:
    """Write `model` with weights and activations in float16.

    The choice among colors, or among what attention looks at, stays in float32: every softmax, with the
    products before and after it.

    Raises:
        onnx.checker.ValidationError: the model is not valid.
    """
    source = load(model)
    keep = [node.name for node in (*_choices(source.graph), *_named(source.graph))]
    with quiet():
        half = convert_float_to_float16(
            source, keep_io_types=True, op_block_list=FLOAT_OPERATORS, node_block_list=keep
        )
        OnnxModel(half).topological_sort()  # the converter appends its casts
    stamp(half, metadata_of(source), "fp16")
    onnx.checker.check_model(half, full_check=True)
    onnx.save(half, output)


def _named(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The convolutions of `FLOAT_PARTS`."""
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1].startswith(FLOAT_PARTS):
            yield node


def _choices(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every softmax, with the nodes from the last product before it on, and those that use it."""
    maker = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for softmax in (node for node in graph.node if node.op_type == "Softmax"):
        yield softmax
        before = maker.get(softmax.input[0])
        while before is not None:
            yield before
            before = None if before.op_type in PRODUCTS else maker.get(before.input[0])
        yield from users.get(softmax.output[0], [])
