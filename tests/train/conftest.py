from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from colorcli.train.squeezenet import SqueezeNet


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def squeezenet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random ones, as a file."""
    torch.manual_seed(0)
    shapes = {"conv1": (64, 3, 3)}
    for index, (inputs, squeezed, expanded) in SqueezeNet.FIRES.items():
        shapes[f"fire{index}.squeeze1x1"] = (squeezed, inputs, 1)
        shapes[f"fire{index}.expand1x1"] = (expanded, squeezed, 1)
        shapes[f"fire{index}.expand3x3"] = (expanded, squeezed, 3)
    weights = {}
    for name, (outputs, inputs, side) in shapes.items():
        weights[f"{name}.weight"] = torch.randn(outputs, inputs, side, side) / (inputs * side * side) ** 0.5
        weights[f"{name}.bias"] = torch.zeros(outputs)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(weights, path)
    return path
