"""The shapes that a profile allows for the inputs of an ONNX model, whichever of its dimensions are free."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from colorcli.engines.engine_file import Profile, Shape
from colorcli.errors import SetupError

MOST_CHANNELS = 4
Dimensions = tuple[int, ...]


def input_ranges(model: Path, profile: Profile) -> dict[str, tuple[Dimensions, Dimensions, Dimensions]]:
    """The smallest, best and largest shape of each input that has free dimensions.

    Raises:
        SetupError: the model cannot be read.
    """
    return {
        tensor.name: (
            _filled(tensor, profile.min),
            _filled(tensor, profile.opt),
            _filled(tensor, profile.max),
        )
        for tensor in _inputs(model)
        if any(not each.HasField("dim_value") for each in tensor.type.tensor_type.shape.dim)
    }


def fitted(model: Path, profile: Profile) -> Profile:
    """A profile in which nothing is free that the model fixes.

    Raises:
        SetupError: the model cannot be read, or its inputs are not [N, C, H, W] with a fixed C.
    """
    tensor = _inputs(model)[0]
    dimensions = tensor.type.tensor_type.shape.dim
    if len(dimensions) != 4 or not 1 <= dimensions[1].dim_value <= MOST_CHANNELS:
        cause = f"its input {tensor.name} does not have its channels first"
        raise SetupError(model, cause, "name it NAME.onnx, and run it with --device tensorrt")
    low, best, high = (_filled(tensor, shape) for shape in (profile.min, profile.opt, profile.max))
    return Profile(_without_channels(low), _without_channels(best), _without_channels(high))


def _inputs(model: Path) -> list[onnx.ValueInfoProto]:
    try:
        return list(onnx.load(model, load_external_data=False).graph.input)
    except DecodeError as error:
        raise SetupError(model, f"not a readable ONNX model ({error})", "export it again") from error


def _filled(tensor: onnx.ValueInfoProto, shape: Shape) -> Dimensions:
    """A tensor's dimensions, those that are free filled with pictures, height and width."""
    count, *size = shape
    free = iter(size)
    return tuple(
        each.dim_value if each.HasField("dim_value") else count if axis == 0 else next(free)
        for axis, each in enumerate(tensor.type.tensor_type.shape.dim)
    )


def _without_channels(dimensions: Dimensions) -> Shape:
    count, _, height, width = dimensions
    return count, height, width
