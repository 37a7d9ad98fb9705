"""Stand-ins for published colorizers: their tensors, and arithmetic simple enough to know every answer."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skimage.color import lab2rgb, rgb2lab

Numbers = NDArray[np.float64]
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SHIFT = np.array([0.12, -0.03, -0.09])
"""What the stand-ins from R'G'B' to R'G'B' add to the picture."""


@dataclass(frozen=True)
class StandIn:
    """A signature, and the affine arithmetic that gives its answers in the units of its tensors."""

    kind: str
    channels: tuple[int, int]
    """Of the input and of the output."""
    weight: Numbers
    """[outputs, inputs]"""
    bias: Numbers
    quarter: bool = False
    """Whether the output has a quarter of the input's size."""

    @property
    def gives_ab(self) -> bool:
        return self.channels[1] == 2

    def chroma(self, luma: Numbers) -> Numbers:
        """The right BT.601 chroma [2, ...] for luma of any shape, by other code than colorcli's."""
        if self.gives_ab:
            gray = np.repeat(luma[..., None], 3, axis=-1)
            lightness = rgb2lab(gray)[..., :1]
            ab = np.concatenate([0.2 * lightness - 5, 25 - 0.3 * lightness], axis=-1)
            if self.kind == "ddcolor":
                ab = np.stack([20 * luma - 5, 25 - 30 * luma], axis=-1)
            rgb = lab2rgb(np.concatenate([lightness, ab], axis=-1))
        else:
            rgb = luma[..., None] + SHIFT
        own = rgb @ [0.299, 0.587, 0.114]
        return np.stack([(rgb[..., 2] - own) / 1.772, (rgb[..., 0] - own) / 1.402])


def _rgb(kind: str, unit: Numbers | float) -> StandIn:
    return StandIn(kind, (3, 3), np.eye(3), SHIFT / unit)


STAND_INS = {
    one.kind: one
    for one in (
        StandIn("ddcolor", (3, 2), np.array([[20.0, 0, 0], [0, -30.0, 0]]), np.array([-5.0, 25])),
        StandIn("eccv16", (1, 2), np.array([[0.2], [-0.3]]), np.array([-5.0, 25])),
        StandIn("siggraph17", (1, 2), np.array([[0.2], [-0.3]]), np.array([-5.0, 25])),
        StandIn("eccv16-caffe", (1, 2), np.array([[0.2], [-0.3]]), np.array([5.0, 10]), quarter=True),
        _rgb("deoldify", 1 / 255),
        _rgb("deoldify-normalized", DEVIATION),
        _rgb("rgb", 1.0),
    )
}


def write(
    path: Path, kind: str, size: int | None = 64, *, half: bool = False, channels_last: bool = False
) -> Path:
    """Write a stand-in as ONNX; `size` None leaves height and width free."""
    one = STAND_INS[kind]
    dtype = np.float16 if half else np.float32
    side: list[int | str] = ["height", "width"] if size is None else [size, size]
    smaller: list[int | str] = ["h4", "w4"] if size is None else [size // 4, size // 4]
    nodes = [helper.make_node("Conv", ["x", "weight", "bias"], ["y"])]
    if one.quarter:
        nodes.append(helper.make_node("AveragePool", ["y"], ["z"], kernel_shape=[4, 4], strides=[4, 4]))
    if kind == "deoldify-normalized":  # DeOldify ends in a sigmoid from -3 to 3
        nodes.append(helper.make_node("Clip", ["y", "low", "high"], ["z"]))
    if channels_last:
        nodes.insert(0, helper.make_node("Transpose", ["input"], ["x"], perm=[0, 3, 1, 2]))
        nodes.append(helper.make_node("Transpose", [nodes[-1].output[0]], ["output"], perm=[0, 2, 3, 1]))
    else:
        nodes[0].input[0], nodes[-1].output[0] = "input", "output"
    weights = [
        numpy_helper.from_array(one.weight[:, :, None, None].astype(dtype), "weight"),
        numpy_helper.from_array(one.bias.astype(dtype), "bias"),
        numpy_helper.from_array(np.array(-3, dtype), "low"),
        numpy_helper.from_array(np.array(3, dtype), "high"),
    ]
    return save(
        path,
        nodes,
        {"input": _shape(one.channels[0], side, channels_last)},
        {"output": _shape(one.channels[1], smaller if one.quarter else side, channels_last)},
        weights,
        half,
    )


def write_with_hints(path: Path, size: int | None = 64, *, half: bool = False) -> Path:
    """Write siggraph17 with hints: the stand-in's a* and b*, and those of the hints where the mask is 1."""
    one = STAND_INS["siggraph17"]
    dtype = np.float16 if half else np.float32
    side: list[int | str] = ["height", "width"] if size is None else [size, size]
    nodes = [
        helper.make_node("Conv", ["input_A", "weight", "bias"], ["plain"]),
        helper.make_node("Sub", ["one", "mask_B"], ["unknown"]),
        helper.make_node("Mul", ["plain", "unknown"], ["kept"]),
        helper.make_node("Mul", ["input_B", "mask_B"], ["hinted"]),
        helper.make_node("Add", ["kept", "hinted"], ["output"]),
    ]
    weights = [
        numpy_helper.from_array(one.weight[:, :, None, None].astype(dtype), "weight"),
        numpy_helper.from_array(one.bias.astype(dtype), "bias"),
        numpy_helper.from_array(np.ones((1, 1, 1, 1), dtype), "one"),
    ]
    inputs = {"input_A": [1, 1, *side], "input_B": [1, 2, *side], "mask_B": [1, 1, *side]}
    return save(path, nodes, inputs, {"output": [1, 2, *side]}, weights, half)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: list[onnx.TensorProto],
    half: bool = False,
) -> Path:
    """Write an ONNX file of these nodes and tensors."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def _shape(channels: int, side: list[int | str], channels_last: bool) -> list[int | str]:
    return [1, *side, channels] if channels_last else [1, channels, *side]
