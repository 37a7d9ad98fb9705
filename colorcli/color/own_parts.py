"""Parts of a black-and-white picture that have color of their own, as a color chart beside a print.

The rule is strict, because a part that keeps its own color is not colorized: all around it the picture must
be black and white or toned, and the part more vivid than stains, foxing and faded dyes are, and not brown.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.detection import COLORLESS, Tone, reduced
from colorcli.color.ycbcr import Plane

VIVID = 0.12
"""Chroma beyond the picture's tone from which on a pixel may belong to such a part."""
FAINT = 0.05
"""The same for what is beside a vivid pixel, as the paler patches of a chart."""
BROWN = (112, 190)
"""Hues in degrees, from Cb towards Cr, of stains, foxing and aged paper: from brown to yellow."""
OTHER_HUES = 0.3
"""Share of a part's vivid pixels that must have other hues."""
SMALLEST, LARGEST = 0.0005, 0.2
"""Share of the picture that vivid parts take: one of them at least, and all together at most."""
GAP = 0.03
"""Share of the shorter side up to which vivid pixels belong together, as the patches of a chart."""


def own_parts(luma: Plane, chroma: Plane) -> Plane | None:
    """How much of its own color each pixel keeps, [h, w] in [0, 1]; None if there is no such part.

    Luma [h, w] in [0, 1]; chroma [2, h', w'] of the same area, at any size.
    """
    tone = _tone(luma, chroma)
    if tone is None:
        return None
    height, width = luma.shape
    color = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in chroma])
    rest = tone.unexplained(luma.ravel(), color.reshape(2, -1).T)
    size = cv2.magnitude(*np.ascontiguousarray(rest.T, np.float32)).reshape(height, width)
    vivid = size > VIVID
    if not 0 < vivid.mean() < LARGEST:
        return None
    reach = max(3, round(GAP * min(height, width))) | 1
    colored = (size > FAINT).view(np.uint8)
    joined = cv2.morphologyEx(colored, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    parts = cv2.dilate(_unlike_stains(joined, vivid, color), np.ones((5, 5), np.uint8))
    around = cv2.dilate(parts, np.ones((reach, reach), np.uint8)) == 0
    if not 0 < parts.mean() < LARGEST or float(np.sqrt(np.square(size[around]).mean())) > COLORLESS:
        return None
    return cv2.blur(parts.astype(np.float32), (3, 3))


def _tone(luma: Plane, chroma: Plane) -> Tone | None:
    """The tone of all but vivid pixels; None if a small copy has none of them, or color far from them."""
    shade, color, shape = reduced(luma, chroma)
    common = np.square(color - np.median(color, axis=0)).sum(axis=1) < VIVID**2
    if common.all():
        return None
    tone = Tone.fit(shade, color, common)
    size = np.hypot(*tone.unexplained(shade, color).T).reshape(shape)
    far = cv2.dilate((size > FAINT).view(np.uint8), np.ones((5, 5), np.uint8)) == 0
    return tone if far.any() and np.square(size[far]).mean() <= COLORLESS**2 else None


def _unlike_stains(joined: NDArray[np.uint8], vivid: NDArray[np.bool_], color: Plane) -> NDArray[np.uint8]:
    """Of connected parts [h, w], those that are large enough and not brown, as 0 and 1."""
    hue = np.degrees(np.arctan2(color[1], color[0])) % 360
    other = vivid & ((hue < BROWN[0]) | (hue > BROWN[1]))
    count, labels = cv2.connectedComponents(joined)
    whole, unlike = (np.bincount(labels[mask], minlength=count) for mask in (vivid, other))
    kept = (whole >= max(9, SMALLEST * vivid.size)) & (unlike >= OTHER_HUES * whole)
    kept[0] = False
    return kept.astype(np.uint8)[labels]
