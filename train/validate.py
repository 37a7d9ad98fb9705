"""Validation: the averaged generator on held-out pictures, and its colorfulness brought to a target."""

import copy
from dataclasses import asdict

import numpy as np
import torch

from colorcli.color.condition import condition
from colorcli.color.ycbcr import Plane
from colorcli.evaluation.metrics import colorfulness, mean_scores, score
from colorcli.evaluation.pictures import Picture, central_square, from_planes, to_planes
from colorcli.networks.base import Generator
from colorcli.train.pack import Pack

SHEET_ROWS = 8
MAX_GAIN = 2.0
SEARCH_STEPS = 7
"""Halvings of the search for a gain: within half a percent."""


def validate(
    generator: Generator, pack: Pack, held_out: list[int], size: int, device: torch.device
) -> tuple[dict[str, float], list[list[Picture]]]:
    """Mean scores over the central squares of the held-out pictures, and rows for a sample sheet.

    The scores of gray pictures are named `gray_...`; a row is gray, generated, real.
    """
    rows = []
    for real in (central_square(pack[index], size) for index in held_out):
        luma, _ = to_planes(real)
        rows.append([from_planes(luma), colorize(generator, luma, device), real])
    scores = asdict(mean_scores(score(real, generated) for _, generated, real in rows))
    baseline = asdict(mean_scores(score(real, gray) for gray, _, real in rows))
    return scores | {f"gray_{name}": value for name, value in baseline.items()}, rows[:SHEET_ROWS]


@torch.no_grad()
def colorize(generator: Generator, luma: Plane, device: torch.device) -> Picture:
    """Luma [S, S] -> the picture [S, S, 3] with the generator's chroma."""
    chroma = generator(torch.from_numpy(condition(luma)[None]).to(device))[0].cpu().numpy()
    return from_planes(luma, chroma)


def scale_to_colorfulness(
    generator: Generator, pack: Pack, held_out: list[int], size: int, device: torch.device, share: float
) -> Generator:
    """A copy with scaled output: its mean colorfulness on held-out pictures is `share` of the originals'."""
    pictures = [central_square(pack[index], size) for index in held_out]
    lumas = [to_planes(real)[0] for real in pictures]
    target = share * np.mean([colorfulness(real) for real in pictures])
    low, high = 1 / MAX_GAIN, MAX_GAIN
    for _ in range(SEARCH_STEPS):
        gain = (low * high) ** 0.5
        scaled = copy.deepcopy(generator)
        scaled.scale_chroma(gain)
        reached = np.mean([colorfulness(colorize(scaled, luma, device)) for luma in lumas])
        low, high = (gain, high) if reached < target else (low, gain)
    return scaled
