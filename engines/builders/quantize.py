"""A generator in 8-bit integers: ONNX with quantize and dequantize nodes, ranges taken from pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from colorcli.engines.builders.quiet import quiet
from colorcli.models.card import CARD_KEY, ModelCard

FLOAT_PARTS = ("generator.encoder.", "generator.bottleneck.")
"""Convolutions whose weights are named so stay float32: the ImageNet encoder, and what reads its features.
Some of its depthwise weights are thirty times their neighbors', and its last features are many and faint."""

FOR_CPU = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
"""What ONNX Runtime and OpenVINO are fast at."""
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
"""What TensorRT takes: zero points of 0, each convolution with nodes of its own, biases in float32."""


def quantize(
    model: Path, output: Path, conditions: Iterable[NDArray[np.float32]], *, recipe: dict[str, Any]
) -> ModelCard:
    """Write `model` (an export in float32) in int8, weights per channel.

    Args:
        conditions: [1, 4, H, W] each, of one size: what the layers' ranges are measured on.
        recipe: `FOR_CPU` or `FOR_TENSORRT`.
    """
    graph = onnx.load(model)
    card = ModelCard.from_json({entry.key: entry.value for entry in graph.metadata_props}[CARD_KEY])
    card = replace(card, precision="int8")
    with quiet():
        quantize_static(
            model,
            output,
            _Reader(conditions),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            nodes_to_exclude=_float_layers(graph.graph),
            **recipe,
        )
    quantized = onnx.load(output)
    onnx.helper.set_model_props(quantized, {CARD_KEY: card.to_json()})
    onnx.save(quantized, output)
    return card


def _float_layers(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes to leave alone: convolutions as above, each with what follows it up to the next.

    So is what chooses among colors, from the first matrix product on: its odds want more than 256 steps.
    """
    names: list[str] = []
    apart = True  # what comes before the first convolution prepares the encoder's input
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            apart = node.input[1].startswith(FLOAT_PARTS)
        elif node.op_type == "MatMul":
            apart = True
        if apart:
            names.append(node.name)
    return names


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, conditions: Iterable[NDArray[np.float32]]) -> None:
        self._conditions: Iterator[NDArray[np.float32]] = iter(conditions)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        condition = next(self._conditions, None)
        return None if condition is None else {"condition": condition}
