"""Propagation of hints: the color of a hint reaches the surrounding pixels, up to the next edge.

A network reproduces a hint at its pixels, but often only a few pixels beyond. After Levin, Lischinski and
Weiss, "Colorization using optimization" (2004), neighboring pixels of similar luma have similar colors. What
is propagated here is not the color but the change c from the network's own prediction, so that its shading
stays. c minimizes

    sum of mask (c - (hint - unhinted))^2  +  sum over neighbors of w (c_i - c_j)^2  +  sum of (c / REACH)^2

with w near 1 where luma is even and near 0 across an edge; the last term lets c fade in large even regions.
The influence of the hints on a pixel, which is the solution for a change of 1, gives the weight of
`unhinted + c` against the prediction with hints: 1 at a hint, 0 beyond its region, where the network may
still know that the other sleeve is of the same cloth.
"""

import cv2
import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane

REACH = 100
"""Distance in pixels over which a hint fades in an even region. On 40 photographs with known regions, the
mean influence is 20, 32 and 41 % within the hint's region, and 0.4, 1.4 and 2.7 % elsewhere, at 50, 100 and
200."""
NEAR = 20
"""The same for hints that fill their regions: what is beyond, such as a face, is not meant. With 100, the
colors of a hinted coat tint the lawn behind it."""
EDGE = 0.01
"""Luma step between neighbors at which an edge begins, about 2.5 code values. Twice this value lets three
times as much cross edges, and no more arrive within the region."""
GRAIN = 1.0
"""Sigma in pixels of the blur that hides grain from edge detection: noise of 10 code values has no effect."""
MIN_WEIGHT = 1e-4
"""Smallest w, which keeps the system well conditioned."""
TOLERANCE, MAX_STEPS = 1e-3, 300
"""Limits of the conjugate gradients: 1e-3 of a color difference is below one code value."""


def apply_hints(hinted: Plane, unhinted: Plane, hints: Hints, luma: Plane) -> Plane:
    """Propagate hints into a prediction.

    Args:
        hinted: the network's chroma [2, h, w] with the hints.
        unhinted: its chroma [2, h, w] without them.
        luma: [h, w] in [0, 1].

    Returns:
        Chroma [2, h, w] that equals the hints at their pixels; not clipped.
    """
    target = np.concatenate([hints.mask * (hints.chroma - unhinted), hints.mask[None]])
    *change, arrived = _minimize(target, hints.mask, *_weights(luma))
    return hinted + np.stack(change) - arrived * (hinted - unhinted)


def fill_gaps(unhinted: Plane, hints: Hints, luma: Plane) -> Plane:
    """Put hints that fill their regions into a prediction, and into the gaps that they leave.

    The network does not see them: it answers with other colors for faces, as well.

    Args:
        unhinted: the network's chroma [2, h, w] without them.
        luma: [h, w] in [0, 1].

    Returns:
        Chroma [2, h, w]; not clipped.
    """
    target = hints.mask * (hints.chroma - unhinted)
    return unhinted + _minimize(target, hints.mask, *_weights(luma), NEAR)


def influence(mask: Plane, luma: Plane) -> Plane:
    """The influence of hints at `mask` [h, w] on every pixel of luma [h, w]: [h, w] in [0, 1]."""
    return _minimize(mask[None], mask, *_weights(luma))[0]


def _weights(luma: Plane) -> tuple[Plane, Plane]:
    """w between each pixel and its right neighbor, [h, w - 1], and its lower neighbor, [h - 1, w]."""
    smooth = cv2.GaussianBlur(luma, (0, 0), GRAIN)
    steps = (np.diff(smooth, axis=1), np.diff(smooth, axis=0))
    right, below = (np.exp(-np.square(step / EDGE) / 2) + np.float32(MIN_WEIGHT) for step in steps)
    return right, below


def _minimize(target: Plane, mask: Plane, right: Plane, below: Plane, reach: int = REACH) -> Plane:
    """Solve the normal equations for planes [n, h, w] by conjugate gradients with a Jacobi preconditioner."""
    diagonal = mask + np.float32(reach**-2)
    diagonal[:, :-1] += right
    diagonal[:, 1:] += right
    diagonal[:-1] += below
    diagonal[1:] += below

    def system(plane: Plane) -> Plane:
        result = diagonal * plane
        result[:, :, :-1] -= right * plane[:, :, 1:]
        result[:, :, 1:] -= right * plane[:, :, :-1]
        result[:, :-1] -= below * plane[:, 1:]
        result[:, 1:] -= below * plane[:, :-1]
        return result

    solution, residual = np.zeros_like(target), target.copy()
    direction = residual / diagonal
    power, limit = float((residual * direction).sum()), TOLERANCE**2 * float(np.square(target).sum())
    for _ in range(MAX_STEPS):
        if float(np.square(residual).sum()) <= limit:
            break
        image = system(direction)
        step = np.float32(power / float((direction * image).sum()))
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        power, before = float((residual * scaled).sum()), power
        direction = scaled + np.float32(power / before) * direction
    return solution
