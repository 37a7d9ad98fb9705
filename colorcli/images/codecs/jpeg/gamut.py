"""Chroma limited to the gamut of the pixels that use it, so that decoders clip no color and change no gray.

Chroma is in code values relative to gray, luma in code values. Where several pixels share a chroma sample,
the darkest and the brightest of them limit it.
"""

import math
from itertools import product

import cv2
import numpy as np

from colorcli.color.ycbcr import BT601, Plane, color_difference, reach
from colorcli.images.codecs.jpeg.plane import BLOCK, GRAY, PEAK, Bytes, Mask

VISIBLE = 0.8
"""Code values of gray that clipping may take in a toned source before its toning is kept there."""
EIGHT = np.ones((1, BLOCK), np.uint8)


def excess_of_blocks(chroma: Bytes, darkest: Bytes, brightest: Bytes) -> Plane:
    """Code values by which blocks [rows, columns] can leave the gamut; negative inside, -255 if gray.

    An upper limit, found from the extremes of each block of chroma [2, h, w] and luma [h, w].
    """
    least_cb, least_cr = (_least(plane).astype(np.float32) - GRAY for plane in chroma)
    most_cb, most_cr = (_most(plane).astype(np.float32) - GRAY for plane in chroma)
    red, blue = 2 - 2 * BT601.kr, 2 - 2 * BT601.kb
    by_red, by_blue = red * BT601.kr / BT601.kg, blue * BT601.kb / BT601.kg
    above = np.maximum(np.maximum(red * most_cr, blue * most_cb), -by_red * least_cr - by_blue * least_cb)
    below = np.maximum(np.maximum(-red * least_cr, -blue * least_cb), by_red * most_cr + by_blue * most_cb)
    excess = np.maximum(above + _most(brightest) - PEAK, below - _least(darkest))
    return np.where(np.maximum(above, below) > 0, excess, np.float32(-PEAK))


def _least(plane: Bytes) -> Bytes:
    rows = np.minimum.reduce(plane.reshape(-1, BLOCK, plane.shape[1]), axis=1)
    return cv2.erode(rows, EIGHT, anchor=(0, 0))[:, ::BLOCK]


def _most(plane: Bytes) -> Bytes:
    rows = np.maximum.reduce(plane.reshape(-1, BLOCK, plane.shape[1]), axis=1)
    return cv2.dilate(rows, EIGHT, anchor=(0, 0))[:, ::BLOCK]


def limits(chroma: Plane, darkest: Plane, brightest: Plane, clipped: float) -> Plane:
    """Factors [n] by which chroma [2, n] can be multiplied until clipping takes `clipped` of gray.

    Those of chroma within the gamut are 1 or more, and let nothing be clipped.
    """
    above, below = reach(chroma)
    scale = np.asarray((PEAK - brightest) / np.maximum(above, 1e-6), np.float32)
    np.minimum(scale, darkest / np.maximum(below, 1e-6), out=scale)
    if clipped:
        # What clipping takes is a convex function of the scale, so its chord is never below it.
        taken = clipping(darkest, brightest, chroma)
        scale += np.maximum(1 - scale, 0) * np.minimum(clipped / np.maximum(taken, 1e-6), 1)
    return scale


def clips(darkest: Bytes, brightest: Bytes, chroma: Bytes) -> Mask:
    """Samples [n, w] of a toned source's chroma [2, n, w] at which decoders visibly clip."""
    corners = np.array(list(product(*((plane.min(), plane.max()) for plane in chroma))), np.float32).T - GRAY
    above, below = (math.ceil(difference.max()) for difference in reach(corners))
    # Few samples are so bright or dark that their chroma could clip: only these are examined.
    candidates = np.flatnonzero((brightest > PEAK - above) | (darkest < below))
    low, high, cb, cr = (plane.take(candidates).astype(np.float32) for plane in (darkest, brightest, *chroma))
    result = np.zeros(darkest.shape, bool)
    result.ravel()[candidates] = clipping(low, high, np.stack([cb, cr]) - GRAY) > VISIBLE
    return result


def clipping(darkest: Plane, brightest: Plane, chroma: Plane) -> Plane:
    """Code values of gray that clipping takes from pixels [n] of chroma [2, n]."""
    difference = color_difference(chroma)
    too_bright, too_dark = np.zeros((2, len(darkest)), np.float32)
    for weight, plane in zip((BT601.kr, BT601.kg, BT601.kb), difference, strict=True):
        too_bright += weight * np.maximum(plane + (brightest - PEAK), 0)
        too_dark += weight * np.maximum(-darkest - plane, 0)
    return np.asarray(np.maximum(too_bright, too_dark))
