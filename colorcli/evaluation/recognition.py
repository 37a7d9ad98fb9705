"""What a network that recognizes things makes of the colors: MobileNetV2 trained on ImageNet, as the recognition_model.

Two figures that gray cannot fool. Color helps to recognize things, so the share of recognized pictures
lost by going gray and won back by colorizing says whether the colors are the right ones (Zhang et al.
2016, section 3.1; Larsson et al. 2016). The Frechet distance between features of made and real pictures
says whether they look alike as a set (FID, Heusel et al. 2017), here as a share of the distance that gray
pictures have. The recognition_model is never a training loss.
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
from colorcli.evaluation.metrics import Picture
from colorcli.networks.mobile_unet import MobileEncoder, SameConv

SIDE = 224
"""Side in pixels of what the recognition_model sees."""
CENTRAL = 0.875
"""Share of the short side that it sees, cut from the center, as in the network's own evaluation."""
FEATURES, CLASSES = 1280, 1001


@dataclass(frozen=True)
class Predictions:
    """The recognition_model's view of n pictures."""

    features: NDArray[np.float32]
    """[n, 1280], what the classifier reads."""
    labels: NDArray[np.int64]
    """[n], the likeliest class; 0 is background, 1 to 1000 are ImageNet's in the usual order."""

    @classmethod
    def joined(cls, parts: list["Predictions"]) -> "Predictions":
        return cls(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


class RecognitionModel(nn.Module):
    """MobileNetV2 1.0 with its classifier: R'G'B' [N, 3, 224, 224] in [-1, 1] -> features and logits."""

    def __init__(self, weights: Path) -> None:
        """Read weights named conv00 ... conv52 in network order, batch norm folded in.

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
            raise SetupError(
                weights, f"no MobileNetV2 weights ({error})", "check --recognition-model"
            ) from error
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.body.stem(rgb))
        for block in self.body.blocks:
            x = block(x)
        features = F.relu6(self.body.head(x)).mean(dim=(2, 3), keepdim=True)
        return features.flatten(1), self.classifier(features).flatten(1)

    @torch.inference_mode()
    def look(self, pictures: list[Picture]) -> Predictions:
        """Pictures of any size, R'G'B' [H, W, 3] each -> opinions, in one batch."""
        batch = torch.from_numpy(np.stack([_center(picture) for picture in pictures]))
        # A permuted NHWC batch is channels-last already, which these depthwise convolutions like best.
        features, logits = self(batch.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return Predictions(features.numpy(), logits.argmax(dim=1).numpy())


def _center(picture: Picture) -> Picture:
    """The central square, as the recognition_model was trained to see it: [224, 224, 3]."""
    height, width = picture.shape[:2]
    side = round(CENTRAL * min(height, width))
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == SIDE:
        return square
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR)


def accuracy_recovered(real: Predictions, gray: Predictions, made: Predictions) -> float | None:
    """Share of the top-1 agreement lost by going gray that colorizing wins back.

    What is right is what the recognition_model sees in the original. 0: as gray; 1: as the originals; None where gray
    loses nothing.
    """
    lost = float((gray.labels != real.labels).mean())
    won = float((made.labels == real.labels).mean() - (gray.labels == real.labels).mean())
    return won / lost if lost else None


def frechet_distance(real: NDArray[np.float32], made: NDArray[np.float32]) -> float:
    """Distance between the normal distributions fitted to two sets of features [n, d] and [m, d]; n, m >= 2.

    |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) for covariances A, B. With A = R'R and B = S'S the last
    trace is the sum of the singular values of R S', which needs no square root of a rank-deficient matrix.
    """
    (mean, root), (other_mean, other_root) = _moments(real), _moments(made)
    shared = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    spread = np.square(root).sum() + np.square(other_root).sum() - 2 * shared
    return float(np.square(mean - other_mean).sum() + spread)


def _moments(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean [d] and a root R [min(n, d), d] of the covariance, R'R, of features [n, d]."""
    wide = features.astype(np.float64)
    mean = wide.mean(axis=0)
    return mean, np.asarray(np.linalg.qr((wide - mean) / np.sqrt(len(wide) - 1), mode="r"))
