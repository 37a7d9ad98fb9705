"""Damage of old pictures: in range, repeatable, and the same as the common libraries make."""

import cv2
import numpy as np
import pytest
import torch

from colorcli.train.degrade import FAULTS, degrade, draw_faults

SIZE = 48


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture() -> torch.Tensor:
    """Luma with smooth parts and detail, [2, 48, 48]."""
    coarse = cv2.resize(rng().random((5, 5)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    luma = np.stack([coarse, (coarse + 0.2 * rng(1).standard_normal((SIZE, SIZE))).clip(0, 1)])
    return torch.from_numpy(luma.astype(np.float32))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_changes_its_crop_alone(name: str) -> None:
    luma = picture()
    degraded = degrade(luma, [{}, {name: FAULTS[name].draw(rng(1), SIZE)}])
    assert degraded.shape == luma.shape
    assert torch.equal(degraded[0], luma[0])
    assert not torch.equal(degraded[1], luma[1])


def test_degrading_stays_in_range_and_follows_the_seed() -> None:
    for seed in range(30):
        faults = [draw_faults(rng(seed), SIZE), draw_faults(rng(seed + 100), SIZE)]
        degraded = degrade(picture(), faults)
        assert 0 <= degraded.min() <= degraded.max() <= 1
        assert torch.equal(degraded, degrade(picture(), [draw_faults(rng(seed), SIZE), faults[1]]))


@pytest.mark.parametrize("quality", [35, 60, 94])
def test_jpeg_is_what_a_codec_makes(quality: int) -> None:
    for luma, damaged in zip(picture(), degrade(picture(), [{"jpeg": [quality]}] * 2), strict=True):
        codes = np.rint(255 * luma.numpy()).astype(np.uint8)
        _, data = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        difference = np.abs(255 * damaged.numpy() - decoded)
        # A coefficient between two steps may go to either, and then changes a block.
        blocks = difference.reshape(6, 8, 6, 8).max(axis=(1, 3))
        assert (blocks < 1.5).mean() > 0.75
        assert difference.mean() < 0.4


def test_blur_is_gaussian() -> None:
    blurred = degrade(picture(), [{"blur": [0.5]}, {"blur": [1.4]}])
    for luma, result, deviation in zip(picture(), blurred, (0.5, 1.4), strict=True):
        expected = cv2.GaussianBlur(luma.numpy(), (0, 0), deviation)
        assert np.abs(result.numpy() - expected).max() < 2e-3
