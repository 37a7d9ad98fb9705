"""Takes a generator's weights back out of its float32 ONNX export: the checkpoint that it was made from.

The exporter keeps the weights' names, except those of linear layers, which it transposes. Batch norms are
folded into the convolutions before them; `networks.checkpoint` loads such a checkpoint as it is.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save

from colorcli.engines.builders.graph import metadata_of
from colorcli.errors import InputError
from colorcli.networks.card import ModelCard

PREFIX = "generator."


def extract_checkpoint(model: Path, output: Path) -> ModelCard:
    """Write the weights in `model`, bit by bit, and its card, with the digest that it names.

    Raises:
        InputError: the file is not a float32 export of a generator.
    """
    graph = onnx.load(model)
    remedy = "give an fp32 export of `colorcli train`'s generator, or `default`"
    try:
        card = ModelCard.from_metadata(metadata_of(graph))
    except ValueError as error:
        raise InputError(model, f"no checkpoint to take out ({error})", remedy) from error
    if card.precision != "fp32":
        raise InputError(model, f"its weights were rounded to {card.precision}", remedy)
    weights = _named_weights(graph.graph)
    if not weights:
        raise InputError(model, "its weights have lost their names", remedy)
    output.write_bytes(save(weights, card.to_metadata()))
    return card


def _named_weights(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    named = {name.removeprefix(PREFIX): value for name, value in values.items() if name.startswith(PREFIX)}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type == "Add" and node.input[0] in products and node.input[1].startswith(PREFIX):
            layer = node.input[1].removeprefix(PREFIX).removesuffix("bias")
            named[f"{layer}weight"] = np.ascontiguousarray(values[products[node.input[0]]].T)
    return named
