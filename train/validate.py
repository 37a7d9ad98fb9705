"""Validation: the averaged generator on held-out pictures, and its colorfulness brought to a target.

The processes of a run share the pictures, so that none waits for another.
"""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import torch

from colorcli.color.condition import condition
from colorcli.color.ycbcr import Plane
from colorcli.evaluation.metrics import colorfulness, mean_scores, score
from colorcli.evaluation.pictures import Picture, central_square, from_planes, to_planes
from colorcli.networks.base import Generator
from colorcli.train.distributed import ProcessGroup
from colorcli.train.pack import Pack

SHEET_ROWS = 8
MAX_GAIN = 2.0
SEARCH_STEPS = 12
"""Halvings of the search for a gain: within a twentieth of a percent."""
ALONE = ProcessGroup()


def validate(
    generator: Generator,
    pack: Pack,
    held_out: Sequence[int],
    size: int,
    device: torch.device,
    processes: ProcessGroup = ALONE,
) -> tuple[dict[str, float], list[list[Picture]]]:
    """Mean scores over the central squares of the held-out pictures, and rows for a sample sheet.

    The scores of gray pictures are named `gray_...`; a row is gray, generated, real.
    """
    rows = []
    for index in held_out[processes.rank :: processes.size]:
        real = central_square(pack[index], size)
        luma, _ = to_planes(real)
        rows.append([from_planes(luma), colorize(generator, luma, device), real])
    with ThreadPoolExecutor() as pool:  # scores take longer than colors
        scored = list(pool.map(lambda row: (score(row[2], row[1]), score(row[2], row[0])), rows))
    generated_scores, gray_scores = zip(*processes.gather(scored), strict=True)
    sheet = rows[: -(-SHEET_ROWS // processes.size)]
    baseline = {f"gray_{name}": value for name, value in asdict(mean_scores(gray_scores)).items()}
    return asdict(mean_scores(generated_scores)) | baseline, processes.gather(sheet)[:SHEET_ROWS]


@torch.no_grad()
def colorize(generator: Generator, luma: Plane, device: torch.device) -> Picture:
    """Luma [S, S] -> the picture [S, S, 3] with the generator's chroma."""
    chroma = generator(torch.from_numpy(condition(luma)[None]).to(device))[0].cpu().numpy()
    return from_planes(luma, chroma)


def scale_to_colorfulness(
    generator: Generator,
    pictures: Sequence[Picture],
    device: torch.device,
    share: float,
    processes: ProcessGroup = ALONE,
) -> Generator:
    """A copy with scaled output: its mean colorfulness on square pictures is `share` of the originals'."""
    own = pictures[processes.rank :: processes.size]
    lumas = [to_planes(real)[0] for real in own]
    target = share * np.mean(processes.gather([colorfulness(real) for real in own]))
    low, high = 1 / MAX_GAIN, MAX_GAIN
    for _ in range(SEARCH_STEPS):
        gain = (low * high) ** 0.5
        scaled = copy.deepcopy(generator)
        scaled.scale_chroma(gain)
        reached = np.mean(processes.gather([colorfulness(colorize(scaled, luma, device)) for luma in lumas]))
        low, high = (gain, high) if reached < target else (low, gain)
    return scaled
