"""A generator small enough to build in a test: chroma is a fixed function of luma and hints."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from colorcli.networks.card import CARD_KEY, ModelCard

CARD = ModelCard(name="toy", version="1", architecture="toy", working_size=64, multiple_of=8, digest="0" * 64)


def toy_generator(path: Path) -> Path:
    """Write an ONNX generator: Cb = 0.1 - 0.2 Y + hint, Cr = 0.2 Y - 0.05 + hint, Y averaged over 3x3."""
    weight = np.zeros((2, 4, 3, 3), np.float32)
    weight[0, 0], weight[1, 0] = -0.2 / 9, 0.2 / 9
    weight[0, 1, 1, 1] = weight[1, 2, 1, 1] = 1
    bias = np.array([0.1, -0.05], np.float32)
    shape = ["batch", 4, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["condition", "weight", "bias"], ["chroma"], pads=[1, 1, 1, 1])],
        "toy",
        [helper.make_tensor_value_info("condition", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("chroma", TensorProto.FLOAT, ["batch", 2, "height", "width"])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CARD_KEY: CARD.to_json()})
    onnx.save(model, path)
    return path
