"""Numbers as tensors on the device that makes the pixels, and conversions of color in PyTorch."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from colorcli.color.ycbcr import BT601


def to_device(values: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers as a tensor on the device; a GPU does not have to finish its work first."""
    tensor = torch.as_tensor(np.asarray(values)).to(dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def rgb_from_ycbcr(luma: Tensor, chroma: Tensor) -> Tensor:
    """Luma [N, 1, H, W], chroma [N, 2, H, W] (BT.601) -> R'G'B' [N, 3, H, W], not clipped."""
    blue = (2 - 2 * BT601.kb) * chroma[:, :1]
    red = (2 - 2 * BT601.kr) * chroma[:, 1:]
    green = -(BT601.kr * red + BT601.kb * blue) / BT601.kg
    return luma + torch.cat([red, green, blue], dim=1)


def ycbcr_from_rgb(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """R'G'B' [N, 3, H, W] -> luma [N, 1, H, W], chroma [N, 2, H, W] (BT.601)."""
    red, green, blue = rgb.split(1, dim=1)
    luma = BT601.kr * red + BT601.kg * green + BT601.kb * blue
    chroma = torch.cat([(blue - luma) / (2 - 2 * BT601.kb), (red - luma) / (2 - 2 * BT601.kr)], dim=1)
    return luma, chroma
