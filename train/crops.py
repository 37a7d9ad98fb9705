"""Training samples: augmented crops with degraded luma and simulated hints.

A crop depends only on the seed and on its position in the order, so that a resumed run trains on exactly what
an uninterrupted run would have trained on.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from colorcli.color.condition import condition
from colorcli.color.simulated_hints import simulate_hints
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.evaluation.pictures import Picture
from colorcli.train.degrade import degrade, gray_from_rgb
from colorcli.train.pack import Pack

JOIN_PROB = 0.25
"""Share of the samples that consist of parts of two pictures."""
WARP_PROB, GAMMA_PROB, CONTRAST_PROB = 0.6, 0.6, 0.3


class Crops(Dataset[dict[str, NDArray[np.float32]]]):
    """Endless, seeded sequence of samples; each epoch shows every picture once.

    A sample holds `condition` [4, S, S] (degraded luma in a share `degrade_prob` of the samples, hints in
    some), the clean `luma` [1, S, S] and the true `chroma` [2, S, S]. Samples that are `plain` are neither
    warped nor joined, and keep their exposure.
    """

    def __init__(
        self,
        pack: Pack,
        indices: Sequence[int],
        size: int,
        degrade_prob: float,
        seed: int,
        *,
        plain: bool = False,
    ) -> None:
        self.pack, self.indices, self.size = pack, np.asarray(indices), size
        self.degrade_prob, self.seed, self.plain = degrade_prob, seed, plain

    def __getitem__(self, position: int) -> dict[str, NDArray[np.float32]]:
        epoch, place = divmod(position, len(self.indices))
        order = np.random.default_rng((self.seed, epoch)).permutation(self.indices)
        rng = np.random.default_rng((self.seed, epoch, place))
        rgb = random_crop(self.pack[order[place]], self.size, rng, plain=self.plain)
        if not self.plain and rng.random() < JOIN_PROB:
            rgb = _join(rgb, random_crop(self.pack[rng.choice(self.indices)], self.size, rng), rng)
        luma, chroma = ycbcr_from_rgb(rgb)
        shown = degrade(gray_from_rgb(rgb, rng), rng) if rng.random() < self.degrade_prob else luma
        return {
            "condition": condition(shown, simulate_hints(chroma, rng)),
            "luma": luma[None],
            "chroma": chroma,
        }


def random_crop(rgb: Picture, size: int, rng: np.random.Generator, *, plain: bool = False) -> Plane:
    """R'G'B' [H, W, 3] -> [3, S, S] in [0, 1]: at least 30 % of the area, random aspect, often mirrored.

    Most crops that are not `plain` are also warped and change exposure, because a long run shows each picture
    many times.
    """
    if not plain and rng.random() < WARP_PROB:
        rgb = _warp(rgb, rng)
    height, width = rgb.shape[:2]
    area = height * width * rng.uniform(0.3, 1)
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    crop_height = min(height, round(np.sqrt(area / aspect)))
    crop_width = min(width, round(np.sqrt(area * aspect)))
    top = rng.integers(0, height - crop_height + 1)
    left = rng.integers(0, width - crop_width + 1)
    crop = rgb[top : top + crop_height, left : left + crop_width]
    crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    planes = np.ascontiguousarray(crop.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
    return planes if plain else _change_exposure(planes, rng)


def _warp(rgb: Picture, rng: np.random.Generator) -> Picture:
    """Rotate by up to 15 degrees and add a slight perspective; the border is mirrored."""
    height, width = rgb.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-15, 15), 1.0)
    moved = cv2.transform(corners[None], rotation)[0] + rng.uniform(-0.06, 0.06, (4, 2)) * (width, height)
    warp = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(rgb, warp, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def _change_exposure(rgb: Plane, rng: np.random.Generator) -> Plane:
    """Change the gamma of 60 % of the crops, contrast and brightness of 30 %."""
    if rng.random() < GAMMA_PROB:
        rgb = rgb ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    if rng.random() < CONTRAST_PROB:
        contrast, shift = (np.float32(rng.uniform(*limits)) for limits in ((0.75, 1.2), (-0.06, 0.06)))
        rgb = np.clip((rgb - 0.5) * contrast + 0.5 + shift, 0, 1)
    return rgb


def _join(one: Plane, other: Plane, rng: np.random.Generator) -> Plane:
    """Parts of two crops [3, S, S] side by side: the context of one says nothing about the other."""
    axis, cut = rng.integers(1, 3), round(one.shape[1] * rng.uniform(0.3, 0.7))
    first, _ = np.split(one, [cut], axis)
    _, second = np.split(other, [cut], axis)
    return np.concatenate([first, second], axis)
