"""The pixels of samples: what their numbers say, on every device."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from colorcli.color.condition import condition
from colorcli.color.simulated_hints import show_hints
from colorcli.train.pack import Pack
from colorcli.train.render import Batch, Renderer
from colorcli.train.samples import Sample, Samples, View
from colorcli.train.tensors import rgb_from_ycbcr

CPU = torch.device("cpu")
SIZE = 32


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """Smooth ones of three sizes."""
    rng = np.random.default_rng(0)
    sizes = ((40, 32), (64, 96), (50, 70))  # width, height
    small = (rng.integers(0, 256, (7, 6, 3), np.uint8) for _ in sizes)
    return [
        cv2.resize(each, size, interpolation=cv2.INTER_CUBIC) for each, size in zip(small, sizes, strict=True)
    ]


@pytest.fixture(scope="module")
def pack(pictures: list[NDArray[np.uint8]]) -> Pack:
    shapes = [(rgb.shape[0], rgb.shape[1]) for rgb in pictures]
    offsets = np.cumsum([0, *(rgb.size for rgb in pictures)]).tolist()[:-1]
    return Pack(np.concatenate([rgb.ravel() for rgb in pictures]), list("abc"), shapes, offsets, [], 0)


def crop(pack: Pack, view: View) -> NDArray[np.float32]:
    """[S, S, 3] in code values."""
    batch = Renderer(pack, CPU)([Sample(view, None, None, None)], SIZE)
    return 255 * rgb_from_ycbcr(batch["luma"], batch["chroma"])[0].permute(1, 2, 0).numpy()


def matrix(left: float, top: float, width: float, height: float) -> NDArray[np.float64]:
    return np.array([[width, 0, left], [0, height, top], [0, 0, 1]])


def test_a_crop_at_the_picture_s_own_size_is_the_picture(
    pack: Pack, pictures: Sequence[NDArray[np.uint8]]
) -> None:
    cropped = crop(pack, View(0, matrix(5, 0, SIZE, SIZE), 1))
    assert np.abs(cropped - pictures[0][:, 5 : 5 + SIZE]).max() < 0.01
    mirrored = crop(pack, View(0, matrix(5 + SIZE, 0, -SIZE, SIZE), 1))
    assert np.abs(mirrored[:, ::-1] - cropped).max() < 0.01


def test_the_border_is_mirrored(pack: Pack, pictures: Sequence[NDArray[np.uint8]]) -> None:
    expected = cv2.copyMakeBorder(pictures[0], 0, 0, 6, 0, cv2.BORDER_REFLECT_101)[:, :SIZE]
    assert np.abs(crop(pack, View(0, matrix(-6, 0, SIZE, SIZE), 1)) - expected).max() < 0.01


def test_shrinking_takes_means_of_areas(pack: Pack, pictures: Sequence[NDArray[np.uint8]]) -> None:
    expected = cv2.resize(pictures[1], (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    difference = np.abs(crop(pack, View(1, matrix(0, 0, 64, 96), 2)) - expected)
    assert difference.mean() < 0.7
    assert difference.max() < 4


def batch(pack: Pack, samples: Sequence[Sample], device: torch.device = CPU) -> Batch:
    return Renderer(pack, device)(samples, SIZE)


@pytest.fixture(scope="module")
def samples(pack: Pack) -> list[Sample]:
    drawn = Samples(pack.shapes, range(len(pack)), SIZE, degrade_prob=0.8, seed=3)
    return [drawn[position] for position in range(60)]


def test_a_sample_is_the_same_in_every_batch(pack: Pack, samples: list[Sample]) -> None:
    together = batch(pack, samples)
    for index in range(0, len(samples), 6):
        for name, planes in batch(pack, [samples[index]]).items():
            # A JPEG's coefficient may be rounded to either side.
            assert (together[name][index] - planes[0]).abs().mean() < 1e-4


def test_a_gpu_makes_the_same_samples(pack: Pack, samples: list[Sample]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    other = batch(pack, samples, torch.device("cuda"))
    for name, planes in batch(pack, samples).items():
        assert (other[name].cpu() - planes).abs().mean() < 1e-3


def test_hints_lie_where_the_pipeline_would_show_them(pack: Pack, samples: list[Sample]) -> None:
    kinds = set()
    for sample, shown, chroma in zip(
        samples, *(batch(pack, samples)[n] for n in ("condition", "chroma")), strict=True
    ):
        kinds.add(type(sample.hints))
        hints = show_hints(chroma.numpy(), sample.hints) if sample.hints else None
        assert np.abs(condition(shown[0].numpy(), hints) - shown.numpy()).max() < 1e-4
    assert len(kinds) == 3
