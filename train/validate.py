"""Validation: how the averaged generator does on held-out pictures, and a sheet to look at."""

import copy
from dataclasses import asdict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from colorcli.color.condition import condition
from colorcli.color.ycbcr import Plane, fit_gamut, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.evaluation.metrics import Picture, mean_scores, score
from colorcli.networks.generators import Generator
from colorcli.train.pictures import Pack, colorfulness

SHEET_ROWS = 8

STRONGEST_GAIN = 2.0


def validate(
    generator: Generator, pack: Pack, held_out: list[int], size: int, device: torch.device
) -> tuple[dict[str, float], list[list[Picture]]]:
    """Scores over the held-out pictures (their gray baseline as `gray_...`), and rows of gray, made, real."""
    rows = []
    for real in (central_square(pack[index], size) for index in held_out):
        luma, _ = ycbcr_from_rgb(real.transpose(2, 0, 1) / np.float32(255))
        rows.append([to_picture(np.stack([luma] * 3)), repaint(generator, luma, device), real])
    values = asdict(mean_scores(score(real, made) for _, made, real in rows))
    baseline = asdict(mean_scores(score(real, gray) for gray, _, real in rows))
    return values | {f"gray_{name}": value for name, value in baseline.items()}, rows[:SHEET_ROWS]


@torch.no_grad()
def repaint(generator: Generator, luma: Plane, device: torch.device) -> Picture:
    """Luma [S, S] -> the picture [S, S, 3] that the generator makes of it."""
    chroma = generator(torch.from_numpy(condition(luma)[None]).to(device))[0].cpu().numpy()
    return to_picture(rgb_from_ycbcr(luma, fit_gamut(luma, chroma)))


def calibrated(
    generator: Generator, pack: Pack, held_out: list[int], size: int, device: torch.device, share: float
) -> Generator:
    """A copy whose mean colorfulness on the held-out pictures is `share` of the originals'."""
    pictures = [central_square(pack[index], size) for index in held_out]
    lumas = [ycbcr_from_rgb(real.transpose(2, 0, 1) / np.float32(255))[0] for real in pictures]
    wanted = share * np.mean([colorfulness(real) for real in pictures])
    low, high = 1 / STRONGEST_GAIN, STRONGEST_GAIN
    for _ in range(7):
        gain = (low * high) ** 0.5
        scaled = copy.deepcopy(generator)
        scaled.scale_chroma(gain)
        reached = np.mean([colorfulness(repaint(scaled, luma, device)) for luma in lumas])
        low, high = (gain, high) if reached < wanted else (low, gain)
    return scaled


def central_square(rgb: Picture, size: int) -> Picture:
    """R'G'B' [H, W, 3] -> its central square, resized to [size, size, 3]."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def to_picture(rgb: NDArray[np.float32]) -> Picture:
    """R'G'B' [3, H, W] in [0, 1] -> [H, W, 3] uint8."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
