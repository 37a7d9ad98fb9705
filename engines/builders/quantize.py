"""Quantizes an exported generator to int8: ONNX with QuantizeLinear and DequantizeLinear nodes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from colorcli.engines.base import Tensors
from colorcli.engines.builders.graph import load, metadata_of, stamp
from colorcli.engines.builders.quiet import quiet

FLOAT_PARTS = ("generator.encoder.", "generator.bottleneck.")
"""Prefixes of the weights of convolutions that stay float32: the ImageNet encoder and the layer that reads
it. Some of its depthwise weights are thirty times their neighbors', its last features many and small."""

FOR_CPU = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
"""Settings that ONNX Runtime and OpenVINO run fast."""
FOR_TENSORRT = {
    "activation_type": QuantType.QInt8,
    "weight_type": QuantType.QInt8,
    "op_types_to_quantize": ["Conv"],
    "extra_options": {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "DedicatedQDQPair": True,
        "QuantizeBias": False,
    },
}
"""Settings that TensorRT accepts: zero points of 0, nodes for each convolution alone, biases in float32."""


def quantize(model: Path, output: Path, inputs: Iterable[Tensors], *, settings: dict[str, Any]) -> None:
    """Quantize a float32 ONNX model, weights per channel, and write the result.

    Args:
        inputs: those on which the layers' ranges are measured, of one size.
        settings: `FOR_CPU` or `FOR_TENSORRT`.
    """
    source = load(model)
    metadata = metadata_of(source)
    with quiet():
        quantize_static(
            source,
            output,
            _Reader(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            nodes_to_exclude=_float_layers(source.graph),
            **settings,
        )
    quantized = onnx.load(output)
    stamp(quantized, metadata, "int8")
    onnx.save(quantized, output)


def _float_layers(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that stay float32: the convolutions above, each with the nodes up to the next one.

    So does the choice among colors, from the first matrix product on: its logits need more than 256 levels.
    """
    names: list[str] = []
    keep = True  # nodes before the first convolution prepare the encoder's input
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            keep = node.input[1].startswith(FLOAT_PARTS)
        elif node.op_type == "MatMul":
            keep = True
        if keep:
            names.append(node.name)
    return names


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Iterable[Tensors]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Tensors | None:
        return next(self._inputs, None)
