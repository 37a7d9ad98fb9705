"""Simulated hints of a batch, in PyTorch; `color.simulated_hints` draws where they lie."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorcli.color.simulated_hints import LONGEST_SIDE, Points, Region
from colorcli.train.tensors import to_device


def show_hints(chroma: Tensor, places: Sequence[Points | Region | None]) -> Tensor:
    """True chroma [N, 2, H, W] -> hint chroma and mask [N, 3, H, W], zero where the color is unknown."""
    hints = chroma.new_zeros(len(chroma), 3, *chroma.shape[2:])
    points = {row: place for row, place in enumerate(places) if isinstance(place, Points)}
    regions = {row: place for row, place in enumerate(places) if isinstance(place, Region)}
    if points:
        index = to_device(list(points), chroma.device, torch.long)
        hints[index] = _points(chroma[index], list(points.values()))
    if regions:
        index = to_device(list(regions), chroma.device, torch.long)
        hints[index] = _regions(chroma[index], list(regions.values()))
    return hints


def _points(chroma: Tensor, points: Sequence[Points]) -> Tensor:
    count, _, height, width = chroma.shape
    rows = np.repeat(np.arange(count), [len(each.squares) for each in points])
    squares = np.column_stack([rows, np.concatenate([each.squares for each in points])])
    row, side, top, left = to_device(squares, chroma.device, torch.long).T[..., None, None]
    offset = torch.arange(LONGEST_SIDE, device=chroma.device)
    inside = (offset[:, None] < side) & (offset < side)  # [squares, 9, 9]
    y, x = (top + offset[:, None]).clamp(max=height - 1), (left + offset).clamp(max=width - 1)
    pixels = ((row * height + y) * width + x).flatten(1)
    shown = chroma.permute(0, 2, 3, 1).reshape(-1, 2)[pixels] * inside.flatten(1)[..., None]
    colors = torch.cat([shown.sum(1) / side.square().view(-1, 1), torch.ones_like(side.view(-1, 1))], dim=1)
    # Where squares overlap, the later one counts, in whatever order a GPU writes them.
    number = torch.arange(1, len(squares) + 1, device=chroma.device)[:, None] * inside.flatten(1)
    latest = torch.zeros(count * height * width, dtype=torch.long, device=chroma.device)
    latest.scatter_reduce_(0, pixels.flatten(), number.flatten(), "amax")
    planes = F.pad(colors, (0, 0, 1, 0))[latest]  # number 0 is no square
    return planes.view(count, height, width, 3).permute(0, 3, 1, 2)


def _regions(chroma: Tensor, regions: Sequence[Region]) -> Tensor:
    coarse = to_device([each.field for each in regions], chroma.device)[:, None]
    field = F.interpolate(coarse, chroma.shape[2:], mode="bicubic", align_corners=False)
    place = to_device([each.hidden for each in regions], chroma.device) * (field[0].numel() - 1)
    ordered = field.flatten(1).sort(dim=1).values
    below = ordered.gather(1, place.long()[:, None])
    above = ordered.gather(1, place.ceil().long()[:, None])
    height = torch.lerp(below, above, place.frac()[:, None])
    mask = (field > height[..., None, None]).to(chroma.dtype)
    error = to_device([each.error for each in regions], chroma.device)
    return torch.cat([(chroma + error) * mask, mask], dim=1)
