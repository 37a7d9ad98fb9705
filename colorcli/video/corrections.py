"""What a memory of shots says about the colors of keyframes, found then or planned before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.ycbcr import Plane
from colorcli.video.keyframe_voting import ColorEstimate


@dataclass(frozen=True)
class Correction:
    """What a keyframe's colors change by so that they are as remembered."""

    difference: NDArray[np.float16]
    """Of the planes of a `ColorEstimate`, [3, h, w]."""
    trust: NDArray[np.float16]
    """[h, w] in [0, 1]: where it is remembered."""
    given: NDArray[np.float16]
    """[h, w] in [0, 1]: where it is remembered as a person gave it."""
    shots: tuple[int, ...] = ()
    """The shots that it is remembered from, by the numbers of their first frames."""

    def apply(self, estimate: ColorEstimate) -> ColorEstimate:
        """Correct an estimate of any size."""
        changed = estimate.planes + resized(self.difference, estimate.planes.shape[1:])
        np.maximum(changed[2], 0, out=changed[2])
        return ColorEstimate(changed.astype(np.float32))

    def trust_at(self, shape: tuple[int, int]) -> tuple[Plane, Plane]:
        """`trust` and `given` at another size [H, W]."""
        trust, given = resized(np.stack([self.trust, self.given]), shape)
        return trust, given


class Memory(Protocol):
    """What corrects the keyframes of a video, the first and the last of each shot, in order."""

    recalled: dict[int, tuple[int, ...]]
    """The shots that a shot had colors from; all by the numbers of their first frames."""

    def correct(
        self, number: int, small: Plane, estimate: ColorEstimate, certainty: Plane | float, *, is_last: bool
    ) -> Correction:
        """The correction of a keyframe.

        Args:
            number: of its frame.
            small: luma [h, w] in [0, 1] at the working size.
            estimate: the network's colors for it.
            certainty: [h, w] in [0, 1]: where they are known by hints, and stay.
            is_last: whether it ends its shot rather than begins it.
        """

    def restore(self, end: int) -> bool:
        """Remember what earlier runs did before the frame with this number, where this one does not yet.

        Returns:
            Whether their colors still follow from what is remembered now; if not, nothing is restored.
        """


class PlannedMemory:
    """Corrections that a planning pass has found."""

    def __init__(
        self, corrections: Sequence[Correction], recalled: Mapping[int, tuple[int, ...]] | None = None
    ) -> None:
        """`recalled`: of shots that need no correction here."""
        self._corrections = iter(corrections)
        self.recalled = dict(recalled or {})

    def correct(
        self, number: int, small: Plane, estimate: ColorEstimate, certainty: Plane | float, *, is_last: bool
    ) -> Correction:
        correction = next(self._corrections)
        if not is_last:
            self.recalled[number] = correction.shots
        return correction

    def restore(self, end: int) -> bool:
        return True


def resized(planes: NDArray[np.floating], shape: tuple[int, ...]) -> Plane:
    """Planes [n, h, w] at another size."""
    how = cv2.INTER_AREA if shape[0] < planes.shape[1] else cv2.INTER_LINEAR
    return np.stack(
        [cv2.resize(plane.astype(np.float32), shape[::-1], interpolation=how) for plane in planes]
    )
