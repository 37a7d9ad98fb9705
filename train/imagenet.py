"""ImageNet weights for the encoder, the largest gain known: those of torchvision, or a file."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from colorcli.errors import SetupError, install_command

TORCHVISION = "mobilenet_v2"
"""Name under which torchvision's weights are asked for instead of a file."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Input normalization of torchvision's weights."""
EPSILON = 1e-5
"""Of torchvision's batch norms."""


def encoder_weights(source: str) -> dict[str, Tensor]:
    """Weights of MobileNetV2 for `MobileEncoder.load_imagenet`: conv00 ... conv51, batch norm folded in.

    Raises:
        SetupError: the file is missing or of another kind, or torchvision or its weights cannot be had.
    """
    if source == TORCHVISION:
        return from_torchvision(_download())
    try:
        return load_file(source)
    except (OSError, SafetensorError) as error:
        remedy = f'check encoder_weights; "{TORCHVISION}" are those of torchvision'
        raise SetupError(Path(source), f"not MobileNetV2 weights ({error})", remedy) from error


def _download() -> Mapping[str, Tensor]:
    """14 MB, once; PyTorch keeps them in its cache."""
    try:
        from torchvision.models import MobileNet_V2_Weights

        weights: Mapping[str, Tensor] = MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict(
            progress=False, check_hash=True
        )
    except ModuleNotFoundError as error:
        raise SetupError(
            TORCHVISION, f"{error.name} is not installed", install_command("imagenet")
        ) from error
    except OSError as error:  # no network
        remedy = (
            f"copy {torch.hub.get_dir()} from a machine where training has begun, or delete encoder_weights"
        )
        raise SetupError(TORCHVISION, f"its weights cannot be downloaded ({error})", remedy) from error
    except (ImportError, RuntimeError) as error:
        cause = f"torchvision does not load ({str(error).splitlines()[0]})"
        raise SetupError(TORCHVISION, cause, "install the one that belongs to this PyTorch") from error
    return weights


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of torchvision's `mobilenet_v2` -> weights as `encoder_weights` returns them.

    Its convolutions of stride 2 are padded on all sides, ours right and bottom only. This moves what they see
    by less than a pixel of the next layer, and changes nothing else but the border.
    """
    folded: dict[str, Tensor] = {}
    convolutions = [name for name, value in state.items() if value.ndim == 4]
    norms = [name.removesuffix("running_mean") for name in state if name.endswith("running_mean")]
    for index, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        scale = state[f"{norm}weight"] / (state[f"{norm}running_var"] + EPSILON).sqrt()
        folded[f"conv{index:02d}.weight"] = state[convolution] * scale.view(-1, 1, 1, 1)
        folded[f"conv{index:02d}.bias"] = state[f"{norm}bias"] - state[f"{norm}running_mean"] * scale
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    first = folded["conv00.weight"] / deviation
    folded["conv00.bias"] += (first * (0.5 - mean)).sum((1, 2, 3))
    folded["conv00.weight"] = first / 2
    return folded
