"""Training samples: packed pictures, simulated hints, crops that depend on the seed alone."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from colorcli.color.simulated_hints import simulate_hints
from colorcli.evaluation.pictures import find_pictures
from colorcli.train.config import DataConfig
from colorcli.train.pack import Pack, pack_pictures
from colorcli.train.render import Renderer
from colorcli.train.samples import Samples


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_hints_show_true_colors_and_are_often_missing() -> None:
    chroma = np.broadcast_to(np.float32([[[0.2]], [[-0.1]]]), (2, 64, 64)).copy()
    drawn = [simulate_hints(chroma, rng(seed)) for seed in range(200)]
    assert 0.5 < sum(hints is None for hints in drawn) / 200 < 0.8
    for hints in filter(None, drawn):
        known = hints.mask > 0
        assert known.any()
        assert np.abs(hints.chroma - chroma)[:, known].max() < 0.06


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six colorful pictures, a gray one, a text file with a picture's name, and a truncated picture."""
    for index in range(6):
        cv2.imwrite(str(tmp_path / f"{index}.png"), rng(index).integers(0, 256, (80, 100, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((80, 100, 3), 128, np.uint8))
    (tmp_path / "text.jpg").write_text("no picture")
    whole = cv2.imencode(".png", rng(9).integers(0, 256, (80, 100, 3), np.uint8))[1].tobytes()
    (tmp_path / "cut.png").write_bytes(whole[:40])
    return tmp_path


def test_corrupt_pictures_are_named_and_dull_ones_left_out(folder: Path) -> None:
    pack = pack_pictures(find_pictures([str(folder)]), folder / "pack" / "p.rgb", DataConfig(short_side=64))
    assert [Path(name).name for name in pack.corrupt] == ["cut.png", "text.jpg"]
    assert pack.dull == 1
    assert pack.names == [f"{index}.png" for index in range(6)]
    assert {pack[index].shape for index in range(6)} == {(64, 80, 3)}


def test_a_pack_is_reused_until_the_pictures_change(folder: Path) -> None:
    path = folder / "pack" / "p.rgb"
    pack_pictures(find_pictures([str(folder)]), path, DataConfig())
    written = path.stat().st_mtime_ns
    pack_pictures(find_pictures([str(folder)]), path, DataConfig())
    assert path.stat().st_mtime_ns == written
    pack_pictures(find_pictures([str(folder)])[:3], path, DataConfig())
    assert path.stat().st_mtime_ns != written


def make_samples(pack: Pack, seed: int, degrade_prob: float = 0.5) -> Samples:
    return Samples(pack.shapes, range(len(pack)), 32, degrade_prob, seed)


def test_a_sample_depends_on_its_position_and_the_seed(folder: Path) -> None:
    pack = pack_pictures(find_pictures([str(folder)]), folder / "pack" / "p.rgb", DataConfig())
    render, positions = partial(Renderer(pack, torch.device("cpu")), size=32), (0, 7, 100)
    batch, again, other = (
        render([make_samples(pack, seed)[position] for position in positions]) for seed in (5, 5, 6)
    )
    assert {name: tuple(planes.shape) for name, planes in batch.items()} == {
        "condition": (3, 4, 32, 32), "luma": (3, 1, 32, 32), "chroma": (3, 2, 32, 32)
    }  # fmt: skip
    assert all(torch.equal(planes, again[name]) for name, planes in batch.items())
    assert not any(map(torch.equal, batch["luma"], other["luma"]))


def test_an_epoch_shows_every_picture_once(folder: Path) -> None:
    pack = pack_pictures(find_pictures([str(folder)]), folder / "pack" / "p.rgb", DataConfig())
    samples = make_samples(pack, seed=0)
    shown = [samples[position].view.picture for position in range(12)]
    assert sorted(shown[:6]) == sorted(shown[6:]) == list(range(6))


def test_some_crops_are_parts_of_two_pictures(tmp_path: Path) -> None:
    for name, bgr in (("red", (30, 30, 220)), ("blue", (220, 30, 30))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((64, 80, 3), bgr, np.uint8))
    pack = pack_pictures(find_pictures([str(tmp_path)]), tmp_path / "pack" / "p.rgb", DataConfig())
    samples = make_samples(pack, seed=1, degrade_prob=0)
    batch = Renderer(pack, torch.device("cpu"))([samples[position] for position in range(60)], 32)
    reddish = (batch["chroma"][:, 1] > 0).numpy()
    assert 4 <= sum(bool(red.any() and not red.all()) for red in reddish) <= 20
    for red in reddish:  # and then with one straight seam
        assert (red == red[:1]).all() or (red == red[:, :1]).all()
