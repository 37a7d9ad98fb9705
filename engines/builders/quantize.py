"""Quantizes an exported generator to int8: ONNX with QuantizeLinear and DequantizeLinear nodes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from colorcli.engines.builders.quiet import quiet
from colorcli.networks.card import ModelCard

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


def quantize(
    model: Path, output: Path, conditions: Iterable[NDArray[np.float32]], *, settings: dict[str, Any]
) -> ModelCard:
    """Quantize a float32 ONNX export, weights per channel, and write the result.

    Args:
        conditions: [1, 4, H, W] each, of one size, on which the layers' ranges are measured.
        settings: `FOR_CPU` or `FOR_TENSORRT`.
    """
    graph = onnx.load(model)
    card = ModelCard.from_metadata({entry.key: entry.value for entry in graph.metadata_props})
    card = replace(card, precision="int8")
    with quiet():
        quantize_static(
            model,
            output,
            _Reader(conditions),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            nodes_to_exclude=_float_layers(graph.graph),
            **settings,
        )
    quantized = onnx.load(output)
    onnx.helper.set_model_props(quantized, card.to_metadata())
    onnx.save(quantized, output)
    return card


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
    def __init__(self, conditions: Iterable[NDArray[np.float32]]) -> None:
        self._conditions: Iterator[NDArray[np.float32]] = iter(conditions)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        condition = next(self._conditions, None)
        return None if condition is None else {"condition": condition}
