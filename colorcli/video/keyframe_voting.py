"""The colors of a keyframe, decided by the network's predictions for several keyframes.

The network predicts different colors for the same coat from keyframe to keyframe, and viewers notice. So the
predictions for a keyframe and for the keyframes after it are warped along the optical flow and averaged, and
the average corrects the color that comes from the previous keyframe only a little. The average of different
predictions is grayer than each of them, so their saturation is averaged as well and restored where they
agree. Where they disagree, small patches of color have no meaning, as those in blurred lights behind the
actors; there the average is smoothed along the luma's edges.

Giving the network the previous colors as hints was tried instead: it answers a region of hints with more
saturation than the hints have, and colors glow within a second (colorfulness 105 instead of 36).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from colorcli.color.guided_filter import guide
from colorcli.color.ycbcr import Plane
from colorcli.video.flow import AccumulatedFlow, FlowImage

CORRECTION_PER_STEP = 0.005
"""Share of the difference between warped color and vote that is corrected in one step of the video: half of
it in 140 steps, between five and six seconds."""
DISAGREEMENT = 0.5
"""Difference of chroma between warped color and vote at which confidence in the warped color has fallen to
1/e. At 0.25, points drift 2 % more on the first three seconds of bikes."""
FULL_TRUST = 0.03
"""Trust from which the flow counts in full. Trust is a product over up to a dozen steps, so it is low even
where every step is good; where the flow fails it is below 0.01. At 0.3, points drift a sixth more on the
first three seconds of bikes."""
MOST_VOTES = 6
"""Keyframes that vote at most, however short the windows are: each costs a flow and three warped planes."""
HINT_WEIGHT = 10.0
"""Weight of a color that is certain, as from a reference, beside 1 for a predicted one."""
FULL_HOLD = 0.3
"""Share of what a person gave from which it is not corrected: a part of it would be lost at each keyframe."""
MOST_GAIN = 1.5
"""Saturation is multiplied by this at most."""
MOST_CHANGE = 0.01
"""Chroma by which the memory may change what the flow brings to a shot's last keyframe. It knows a single
prediction for that one, and a full change shows as drift: on the first three seconds of bikes, the 95th
percentile is 7.3, and 5.2 with this limit. In return, where a shot goes on later its colors differ by 0.2 to
0.3 more (|da| + |db| in CIELAB)."""
RESTORED_SATURATION = 0.9
"""Share of the lost saturation that is restored. With all of it, CIEDE2000 is 0.07, 0.00 and 0.03 higher on
the bikes, fox and cockatoo clips, and points drift 1 to 3 % more."""
SMOOTHING_RADIUS, SMOOTHING_EPSILON = 12, 0.01
"""Window radius in pixels of the working size, and luma variance below which a window counts as flat, where
predictions disagree. On the first three seconds of bikes, smoothing brings the 95th percentile of drift from
1.9 times the original's to 1.4, with colorfulness 2 % less."""
SMOOTHING_AGREEMENT = 10
"""Power of the agreement by which the mean stays as it is: predictions whose mean is 7 % grayer than they are
count as disagreeing by half. Smoothing everywhere takes a tenth of chaplin's colorfulness."""
_NEIGHBORHOOD = (15, 15)
"""Pixels over which the predictions' agreement is measured, so that noise in it does not reach the colors."""


@dataclass(frozen=True)
class ColorEstimate:
    """The mean of several predictions for one picture."""

    planes: Plane
    """[3, h, w]: Cb and Cr in [-0.5, 0.5], and saturation, the predictions' mean distance from gray."""

    @classmethod
    def of(cls, chroma: Plane) -> Self:
        """Of a single prediction [2, h, w]."""
        return cls(np.concatenate([chroma, _saturation(chroma)[None]]))

    def toward(self, other: "ColorEstimate", share: Plane) -> "ColorEstimate":
        """Move by a share [h, w] in [0, 1] of the difference toward another estimate."""
        return ColorEstimate(self.planes + share * (other.planes - self.planes))

    def warp(self, flow: AccumulatedFlow) -> "ColorEstimate":
        """Move this estimate for a flow's reference frame to the flow's own frame."""
        return ColorEstimate(flow.warp(self.planes))

    def chroma(self, certainty: Plane | float) -> Plane:
        """Chroma [2, h, w] with saturation restored, except where colors are certain ([h, w] in [0, 1])."""
        mean, saturation = self.planes[:2], self.planes[2]
        gain = min(float(saturation.mean()) / max(float(_saturation(mean).mean()), 1e-6), MOST_GAIN)
        share = np.square(self._agreement()) * (1 - certainty)
        return np.clip(
            mean * (1 + np.float32(RESTORED_SATURATION * (gain - 1)) * share), -0.5, 0.5, dtype=np.float32
        )

    def smooth(self, image: FlowImage) -> "ColorEstimate":
        """Smooth the mean where the predictions disagree, but not across edges of the luma of `image`."""
        mean = self.planes[:2]
        luma = cv2.resize(image.image, mean.shape[:0:-1]).astype(np.float32) / np.float32(255)
        radius = round(SMOOTHING_RADIUS * len(luma) / (2 * len(image.image)))
        slopes, offsets = guide(mean, luma, radius, SMOOTHING_EPSILON)
        smoothed = slopes * luma + offsets
        smoothed += self._agreement() ** SMOOTHING_AGREEMENT * (mean - smoothed)
        return ColorEstimate(np.concatenate([smoothed, self.planes[2:]]))

    def _agreement(self) -> Plane:
        """How far the predictions agree around each pixel: [h, w] in [0, 1]."""
        usual = np.maximum(cv2.blur(self.planes[2], _NEIGHBORHOOD), np.float32(1e-4))
        return np.minimum(cv2.blur(_saturation(self.planes[:2]), _NEIGHBORHOOD) / usual, 1)


@dataclass(frozen=True)
class KeyframePrediction:
    """The network's colors for a keyframe."""

    image: FlowImage
    estimate: ColorEstimate
    certainty: Plane | float
    """How certain its colors are by hints: [h, w] in [0, 1]."""
    from_previous: AccumulatedFlow | None
    """Flow of the previous keyframe with this one as the reference; None where a shot starts."""
    anchor: Plane | float = 0.0
    """How far the memory of other shots decides its colors: [h, w] in [0, 1]."""
    given: Plane | float = 0.0
    """How far its colors are those that a person gave for another shot: [h, w] in [0, 1]."""

    @property
    def weight(self) -> Plane | float:
        """How far its colors are decided beforehand: [h, w] in [0, 1]."""
        return np.maximum(self.certainty, self.anchor)

    def anchor_beside(self, warped: ColorEstimate) -> Plane:
        """The anchor beside colors warped from the previous keyframe, which the memory changes little."""
        change = cv2.blur(_saturation(self.estimate.planes[:2] - warped.planes[:2]), _NEIGHBORHOOD)
        allowed = np.float32(MOST_CHANGE) / np.maximum(change, np.float32(MOST_CHANGE))
        return np.maximum(self.given, self.anchor * allowed)


def vote(predictions: Sequence[KeyframePrediction]) -> ColorEstimate:
    """The estimate for the first of several successive keyframes of one shot, by all of them."""
    first, *later = predictions[:MOST_VOTES]
    _, height, width = first.estimate.planes.shape
    total = np.ones((height, width), np.float32)
    planes = first.estimate.planes.copy()
    for place, prediction in enumerate(later, 1):
        flow = _flow_to_last(first.image, predictions[1 : place + 1])
        (certainty,) = flow.warp(np.broadcast_to(np.float32(prediction.weight), total.shape)[None])
        weight = flow_weight(flow, (height, width)) * (1 + np.float32(HINT_WEIGHT) * certainty)
        planes += weight * prediction.estimate.warp(flow).planes
        total += weight
    mean = ColorEstimate(planes / total).smooth(first.image)
    return first.estimate.toward(mean, 1 - np.broadcast_to(first.weight, total.shape))


def correct(
    warped: ColorEstimate, voted: ColorEstimate, trust: Plane, steps: int, held: Plane | float = 0.0
) -> ColorEstimate:
    """Correct an estimate warped from the previous keyframe toward the vote.

    No prediction lasts forever, and none shows at once. Where the vote differs more than predictions usually
    vary, confidence in the warped color is lower: dark luma shows no motion, and the color may have been
    carried along with something else.

    Args:
        trust: trust [h, w] in [0, 1] in the warped estimate.
        steps: how many steps ago the previous keyframe was.
        held: how far the warped estimate is what a person gave, and is not corrected: [h, w] in [0, 1].
    """
    difference = np.square(warped.planes[:2] - voted.planes[:2]).sum(axis=0) / np.float32(DISAGREEMENT**2)
    confidence = np.exp(-cv2.blur(difference, (5, 5)))
    full = np.minimum(np.divide(held, np.float32(FULL_HOLD)), 1)
    kept = np.maximum(confidence * np.float32((1 - CORRECTION_PER_STEP) ** steps), full)
    return voted.toward(warped, trust * kept)


def flow_weight(flow: AccumulatedFlow, shape: tuple[int, int]) -> Plane:
    """How much colors warped along a flow count: [h, w] in [0, 1]."""
    return np.minimum(flow.trust_at(shape) / np.float32(FULL_TRUST), 1)


def _flow_to_last(first: FlowImage, later: Sequence[KeyframePrediction]) -> AccumulatedFlow:
    """The flow of a keyframe to the last of those that follow it."""
    *between, last = later
    assert last.from_previous is not None
    flow = last.from_previous
    images = [first, *(prediction.image for prediction in between)]
    for prediction, image in zip(between[::-1], images[-2::-1], strict=True):
        step = prediction.from_previous
        assert step is not None
        flow = flow.extend(step.positions, step.trust, last.image, image)
    return flow


def _saturation(chroma: Plane) -> Plane:
    """Distance from gray [h, w] of chroma [2, h, w]; rounding in `cv2.magnitude` depends on alignment."""
    squares = np.square(chroma)
    return np.sqrt(squares[0] + squares[1])
