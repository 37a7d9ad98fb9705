"""Takes a generator's weights back out of its float32 ONNX export, bit by bit and without PyTorch.

The exporter keeps the names of weights, except those of linear layers, which it transposes. Batch norms are
folded into the convolutions before them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save

from colorcli.errors import InputError
from colorcli.networks.card import ModelCard

PREFIX = "generator."
Weights = dict[str, NDArray[Any]]


def read_weights(model: Path) -> tuple[Weights, ModelCard]:
    """The weights under the names that the network gives them, and the card, which keeps its digest.

    Raises:
        InputError: the file is not a float32 export of a generator.
    """
    remedy = "give `default`, or an fp32 export of a generator that `colorcli train` made"
    try:
        loaded = onnx.load(model)
        card = ModelCard.from_metadata({entry.key: entry.value for entry in loaded.metadata_props})
    except (OSError, DecodeError, ValueError) as error:
        raise InputError(model, f"holds no generator ({error})", remedy) from error
    weights = _named(loaded.graph)
    if card.precision != "fp32" or not weights:
        raise InputError(model, f"its weights were rounded to {card.precision}, or renamed", remedy)
    return weights, card


def extract_checkpoint(model: Path, output: Path) -> None:
    """Write the checkpoint that `read_weights` finds in a model.

    Raises:
        InputError: see `read_weights`.
    """
    weights, card = read_weights(model)
    output.write_bytes(save(weights, card.to_metadata()))


def _named(graph: onnx.GraphProto) -> Weights:
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    named = {name.removeprefix(PREFIX): value for name, value in values.items() if name.startswith(PREFIX)}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type == "Add" and node.input[0] in products and node.input[1].startswith(PREFIX):
            layer = node.input[1].removeprefix(PREFIX).removesuffix("bias")
            named[f"{layer}weight"] = np.ascontiguousarray(values[products[node.input[0]]].T)
    return named
