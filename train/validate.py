"""Validation: how the averaged generator does on held-out pictures, and a sheet to look at."""

from dataclasses import asdict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from colorcli.core.color import fit_gamut, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.core.condition import condition
from colorcli.train.metrics import Picture, mean_scores, score
from colorcli.train.networks import Generator
from colorcli.train.pictures import Pack

SHEET_ROWS = 8


@torch.no_grad()
def validate(
    generator: Generator, pack: Pack, held_out: list[int], size: int, device: torch.device
) -> tuple[dict[str, float], list[list[Picture]]]:
    """Scores over the held-out pictures (their grey baseline as `grey_...`), and rows of grey, made, real."""
    made_scores, grey_scores, rows = [], [], []
    for index in held_out:
        real = central_square(pack[index], size)
        luma, _ = ycbcr_from_rgb(real.transpose(2, 0, 1) / np.float32(255))
        made_chroma = generator(torch.from_numpy(condition(luma)[None]).to(device))[0].cpu().numpy()
        made = to_picture(rgb_from_ycbcr(luma, fit_gamut(luma, made_chroma)))
        grey = to_picture(np.stack([luma] * 3))
        made_scores.append(score(real, made))
        grey_scores.append(score(real, grey))
        if len(rows) < SHEET_ROWS:
            rows.append([grey, made, real])
    values = asdict(mean_scores(made_scores))
    values |= {f"grey_{name}": value for name, value in asdict(mean_scores(grey_scores)).items()}
    return values, rows


def central_square(rgb: Picture, size: int) -> Picture:
    """R'G'B' [H, W, 3] -> its central square, resized to [size, size, 3]."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def to_picture(rgb: NDArray[np.float32]) -> Picture:
    """R'G'B' [3, H, W] in [0, 1] -> [H, W, 3] uint8."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
