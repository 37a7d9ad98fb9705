"""What a classifier recognizes in colorized pictures: two figures that a gray picture cannot score in.

Color helps to recognize things, so one figure is the share of the classifier's accuracy lost with the color
that colorizing recovers (Zhang et al. 2016, section 3.1; Larsson et al. 2016). The other is the Frechet
distance between the features of colorized and original pictures, which says whether they look alike as a set
(FID, Heusel et al. 2017), here relative to the distance of gray pictures. The classifier, a MobileNetV2
trained on ImageNet, is never a training loss.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from colorcli.errors import SetupError
from colorcli.evaluation.pictures import Picture
from colorcli.networks.mobile_unet import MobileEncoder, SameConv

SIDE = 224
"""Side in pixels of the network's input."""
CENTRAL = 0.875
"""Side of the central square that the network is given, relative to the short side, as is usual."""
FEATURES, CLASSES = 1280, 1001


@dataclass(frozen=True)
class Predictions:
    """What the recognition model computes for n pictures."""

    features: NDArray[np.float32]
    """[n, 1280], the input of the classifier."""
    labels: NDArray[np.int64]
    """[n], the likeliest class; 0 is background, 1 to 1000 are ImageNet's classes in the usual order."""

    @classmethod
    def concatenated(cls, parts: list["Predictions"]) -> "Predictions":
        """Those of several batches in one."""
        return cls(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


class RecognitionModel(nn.Module):
    """MobileNetV2 1.0 with its classifier: R'G'B' [N, 3, 224, 224] in [-1, 1] -> features and logits."""

    def __init__(self, weights: Path) -> None:
        """Load weights named conv00 ... conv52 in network order, with batch norm folded in.

        Raises:
            SetupError: the file is missing or holds other weights.
        """
        super().__init__()
        self.body = MobileEncoder()
        self.body.stem = SameConv(3, 32, stride=2)
        self.classifier = nn.Conv2d(FEATURES, CLASSES, 1)
        layers = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        names = [f"conv{index:02d}" for index in range(len(layers))]
        try:
            state = {name: value.float() for name, value in load_file(weights).items()}
            nn.ModuleDict(dict(zip(names, layers, strict=True))).load_state_dict(state)
        except (OSError, SafetensorError, RuntimeError) as error:
            cause = f"not MobileNetV2 weights ({error})"
            raise SetupError(weights, cause, "check --recognition-model") from error
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.body.stem(rgb))
        for block in self.body.blocks:
            x = block(x)
        features = F.relu6(self.body.head(x)).mean(dim=(2, 3), keepdim=True)
        return features.flatten(1), self.classifier(features).flatten(1)

    @torch.inference_mode()
    def predict(self, pictures: list[Picture]) -> Predictions:
        """Pictures of any size, R'G'B' [H, W, 3] each -> predictions, in one batch."""
        batch = torch.from_numpy(np.stack([_central_input(picture) for picture in pictures]))
        # A permuted NHWC batch is channels-last already, the fastest layout for depthwise convolutions.
        features, logits = self(batch.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return Predictions(features.numpy(), logits.argmax(dim=1).numpy())


def _central_input(picture: Picture) -> Picture:
    """The central square at the network's size, [224, 224, 3]."""
    height, width = picture.shape[:2]
    side = round(CENTRAL * min(height, width))
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == SIDE:
        return square
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR)


def accuracy_recovered(real: Predictions, gray: Predictions, generated: Predictions) -> float | None:
    """Share of the top-1 accuracy lost with the color that colorizing recovers.

    The label predicted for the original counts as correct. 0: no better than gray; 1: as good as the
    originals; None if gray pictures lose nothing.
    """
    lost = float((gray.labels != real.labels).mean())
    recovered = float((generated.labels == real.labels).mean() - (gray.labels == real.labels).mean())
    return recovered / lost if lost else None


def frechet_distance(real: NDArray[np.float32], generated: NDArray[np.float32]) -> float:
    """Distance between the normal distributions fitted to two sets of features [n, d] and [m, d]; n, m >= 2.

    |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) for covariances A, B. With A = R'R and B = S'S the last
    trace is the sum of the singular values of R S', which needs no square root of a rank-deficient matrix.
    """
    (mean, root), (other_mean, other_root) = _mean_and_root(real), _mean_and_root(generated)
    cross = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    spread = np.square(root).sum() + np.square(other_root).sum() - 2 * cross
    return float(np.square(mean - other_mean).sum() + spread)


def _mean_and_root(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean [d] and a root R [min(n, d), d] of the covariance, R'R, of features [n, d]."""
    wide = features.astype(np.float64)
    mean = wide.mean(axis=0)
    return mean, np.asarray(np.linalg.qr((wide - mean) / np.sqrt(len(wide) - 1), mode="r"))
