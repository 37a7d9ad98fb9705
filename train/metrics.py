"""How near made pictures come to the real ones, always beside what leaving them grey would score.

PSNR and most of SSIM reward grey (leaving ImageNet pictures grey scores 23 dB), so colourfulness and its distance stand
beside them. Pictures are R'G'B' [H, W, 3] uint8.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorcli.train.pictures import colorfulness

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Scores:
    psnr: float
    """dB over R'G'B'; of the mean squared error where averaged, so that one exact picture cannot rule."""
    ssim: float
    """Structural similarity (Wang et al. 2004), mean of the three channels."""
    ciede2000: float
    """Mean colour difference (CIE 142-2001); about 1 is just visible."""
    colorfulness: float
    """Hasler and Suesstrunk 2003."""
    colorfulness_distance: float
    """Mean absolute difference of a picture's colourfulness to its original's."""


def score(real: Picture, made: Picture) -> Scores:
    return Scores(
        psnr=float(peak_signal_noise_ratio(real, made, data_range=255)) if (real != made).any() else 100.0,
        ssim=float(structural_similarity(real, made, channel_axis=2, data_range=255)),
        ciede2000=float(deltaE_ciede2000(rgb2lab(real), rgb2lab(made)).mean()),
        colorfulness=colorfulness(made),
        colorfulness_distance=abs(colorfulness(real) - colorfulness(made)),
    )


def mean_scores(scores: Iterable[Scores]) -> Scores:
    rows = [asdict(row) for row in scores]
    return Scores(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})
