import numpy as np
import pytest
import torch

from colorcli.evaluation.metrics import colorfulness
from colorcli.evaluation.pictures import central_square
from colorcli.networks.generators import GENERATORS
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.train.pack import Pack
from colorcli.train.validate import scale_to_colorfulness, validate

CPU = torch.device("cpu")
SIZE = 32


@pytest.fixture
def pack() -> Pack:
    """Four pictures of random soft colors."""
    pixels = np.random.default_rng(0).integers(60, 200, (4, SIZE, SIZE, 3), np.uint8)
    offsets = [index * SIZE * SIZE * 3 for index in range(4)]
    return Pack(pixels.reshape(-1), list("abcd"), [(SIZE, SIZE)] * 4, offsets, corrupt=[], dull=0)


@pytest.fixture
def generator() -> MobileUNet:
    torch.manual_seed(0)
    generator = MobileUNet().eval()
    torch.nn.init.normal_(generator.detail.weight, std=0.02)
    return generator


@pytest.mark.parametrize("gain", [0.7, 1.5])
def test_a_scaled_generator_is_as_colorful_as_asked(pack: Pack, generator: MobileUNet, gain: float) -> None:
    everything = [0, 1, 2, 3]
    original = np.mean([colorfulness(pack[index]) for index in everything])
    wanted = gain * validate(generator, pack, everything, SIZE, CPU)[0]["colorfulness"]
    squares = [pack[index] for index in everything]
    scaled = scale_to_colorfulness(generator, squares, CPU, wanted / original)
    reached = validate(scaled, pack, everything, SIZE, CPU)[0]["colorfulness"]
    assert reached == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("name", GENERATORS)
def test_scaling_chroma_scales_chroma(name: str) -> None:
    torch.manual_seed(0)
    generator = GENERATORS[name]().eval()
    generator.scale_chroma(1e-2)  # pix2pix squashes what is not small
    condition = torch.rand(1, 4, 256, 256)
    with torch.no_grad():
        before = generator(condition)
        generator.scale_chroma(1.5)
        after = generator(condition)
    assert torch.allclose(after, 1.5 * before, rtol=1e-2, atol=1e-6)
    assert before.abs().max() > 0


def test_gray_baseline_stands_beside_every_score(pack: Pack, generator: MobileUNet) -> None:
    values, rows = validate(generator, pack, [0, 1], SIZE, CPU)
    names = [name for name in values if not name.startswith("gray_")]
    assert names
    assert all(f"gray_{name}" in values for name in names)
    assert [picture.shape for picture in rows[0]] == [(SIZE, SIZE, 3)] * 3


def test_central_square_is_the_middle() -> None:
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 10:30] = 255
    assert (central_square(picture, 8) == 255).all()
