"""Scores of colorized pictures against their originals; gray pictures are scored alike, as the baseline.

PSNR and SSIM favor gray (ImageNet pictures left gray score 23 dB), so colorfulness and its distance to the
original's are measured as well. Pictures are R'G'B' [H, W, 3] uint8.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, structural_similarity

from colorcli.evaluation.pictures import Picture

EXACT_PSNR = 100.0
"""PSNR in dB of a picture that equals its original, so that it does not make a mean infinite."""


@dataclass(frozen=True)
class Scores:
    """Scores of one picture, or their mean over many."""

    psnr: float
    """Peak signal-to-noise ratio over R'G'B' in dB; a mean is taken over pictures, as in the literature."""
    mse: float
    """Mean squared error of R'G'B', in squared code values."""
    ssim: float
    """Structural similarity (Wang et al. 2004), mean of the three channels."""
    ciede2000: float
    """Mean color difference (CIE 142-2001); about 1 is just visible."""
    colorfulness: float
    """Hasler and Suesstrunk 2003."""
    colorfulness_distance: float
    """Mean absolute difference between a picture's colorfulness and its original's."""

    @property
    def psnr_of_mse(self) -> float:
        """PSNR in dB of the mean squared error over all pictures, which large errors dominate."""
        return psnr(self.mse)


def psnr(mse: float) -> float:
    """PSNR in dB of a mean squared error in squared code values."""
    return 10 * math.log10(255**2 / mse) if mse else EXACT_PSNR


def colorfulness(rgb: Picture) -> float:
    """Colorfulness (Hasler and Suesstrunk 2003): 0 is gray, about 40 is usual."""
    red, green, blue = rgb.reshape(-1, 3).T.astype(np.float32)
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def score(real: Picture, generated: Picture) -> Scores:
    """Scores of one picture against its original of the same shape, at least 7 pixels on each side."""
    mse = float(mean_squared_error(real, generated))
    return Scores(
        psnr=psnr(mse),
        mse=mse,
        ssim=float(structural_similarity(real, generated, channel_axis=2, data_range=255)),
        ciede2000=float(deltaE_ciede2000(rgb2lab(real), rgb2lab(generated)).mean()),
        colorfulness=colorfulness(generated),
        colorfulness_distance=abs(colorfulness(real) - colorfulness(generated)),
    )


def mean_scores(scores: Iterable[Scores]) -> Scores:
    """The mean of each score, over at least one picture."""
    rows = [asdict(row) for row in scores]
    return Scores(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})
