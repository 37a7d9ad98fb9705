"""How near made pictures come to the real ones, always beside what leaving them gray would score.

PSNR and SSIM reward gray (leaving ImageNet pictures gray scores 23 dB), so colorfulness and its distance
stand beside them. Pictures are R'G'B' [H, W, 3] uint8.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, structural_similarity

from colorcli.train.pictures import colorfulness

Picture = NDArray[np.uint8]

EXACT_PSNR = 100.0
"""dB given to a picture that equals its original, so that one exact picture cannot rule a mean."""


@dataclass(frozen=True)
class Scores:
    """Of one picture, or the mean over many."""

    psnr: float
    """dB over R'G'B'; averaged as it is in the literature: the mean of the pictures' own."""
    mse: float
    """Mean squared error of R'G'B' in code values squared."""
    ssim: float
    """Structural similarity (Wang et al. 2004), mean of the three channels."""
    ciede2000: float
    """Mean color difference (CIE 142-2001); about 1 is just visible."""
    colorfulness: float
    """Hasler and Suesstrunk 2003."""
    colorfulness_distance: float
    """Mean absolute difference of a picture's colorfulness to its original's."""

    @property
    def psnr_of_mse(self) -> float:
        """dB of the mean squared error over all pictures: strict with the few that are far off."""
        return psnr(self.mse)


def psnr(mse: float) -> float:
    return 10 * math.log10(255**2 / mse) if mse else EXACT_PSNR


def score(real: Picture, made: Picture) -> Scores:
    mse = float(mean_squared_error(real, made))
    return Scores(
        psnr=psnr(mse),
        mse=mse,
        ssim=float(structural_similarity(real, made, channel_axis=2, data_range=255)),
        ciede2000=float(deltaE_ciede2000(rgb2lab(real), rgb2lab(made)).mean()),
        colorfulness=colorfulness(made),
        colorfulness_distance=abs(colorfulness(real) - colorfulness(made)),
    )


def mean_scores(scores: Iterable[Scores]) -> Scores:
    rows = [asdict(row) for row in scores]
    return Scores(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})
