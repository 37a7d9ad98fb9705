"""Fine-tuning: what is kept of it, through the real command line and by its verdicts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.cli import run_cli

from colorcli.errors import InputError
from colorcli.networks.checkpoint import load_generator
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.options import DEFAULT_MODEL
from colorcli.train.fine_tune import Verdict, choose, interpolate

CONFIG = """
encoder_lr_scale = 0.1
warmup = 8
workers = 0
checkpoint_every = 1000
validate_every = 1000

[data]
short_side = 64
skip_toned = true

[[phases]]
name = "fine-tune"
crops = 32
size = 64
batch = 4
learning_rate = 1e-3
degrade_prob = 0.0
"""


def train(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and standard error."""
    (folder / "config.toml").write_text(CONFIG)
    done = run_cli("train", *arguments, "-o", folder / "run", "--config", folder / "config.toml")
    return done.returncode, done.stderr.decode()


def write_pictures(folder: Path, colors: NDArray[np.float64], count: int = 6) -> Path:
    """Smooth pictures whose shades are colored: `colors` [2, 3] are those of black and of white."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        shade = cv2.resize(rng.random((5, 6)), (80, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        noise = cv2.resize(rng.normal(0, 0.04, (16, 20, 3)), (80, 64))
        picture = (
            colors[0] + (colors[1] - colors[0]) * shade[..., None] + noise * np.ptp(colors, axis=1).max()
        )
        cv2.imwrite(str(folder / f"{index}.png"), (255 * picture.clip(0, 1))[..., ::-1].astype(np.uint8))
    return folder


def test_a_kind_that_is_learned_makes_a_better_generator(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", np.array([[0.5, 0.0, 0.4], [0.2, 0.9, 0.3]]))
    code, said = train(tmp_path, data, "--from", "default", "--keep", data)
    assert code == 0, said
    assert "held-out pictures" in said
    run = tmp_path / "run"
    _, before = load_generator(run / "start.safetensors")
    _, card = load_generator(run / "generator.safetensors")
    assert load_generator(DEFAULT_MODEL)[1].name == card.name == before.name
    assert card.version != before.version
    assert card.digest != before.digest
    (validation,) = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    assert validation["crops"] == 32


def test_gray_and_toned_pictures_teach_nothing(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", np.array([[0.1, 0.05, 0.0], [1.0, 0.85, 0.6]]), count=3)
    for file in data.iterdir():  # no color but the tone
        gray = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)[..., None] / 255
        cv2.imwrite(str(file), (255 * gray * [0.6, 0.85, 1.0]).astype(np.uint8))
    code, said = train(tmp_path, data, "--from", "default")
    assert code == 1
    assert "3 have too little color" in said
    assert not (tmp_path / "run" / "generator.safetensors").exists()


def test_only_a_generator_can_be_fine_tuned(tmp_path: Path, toy_model: Path) -> None:
    data = write_pictures(tmp_path / "data", np.array([[0.5, 0.0, 0.4], [0.2, 0.9, 0.3]]), count=2)
    code, said = train(tmp_path, data, "--from", toy_model)
    assert code == 1
    assert said.startswith(f"colorcli: {toy_model}: ")


def verdict(step: float, before: list[float], after: list[float], others: float = 1.0) -> Verdict:
    return Verdict(step, np.array(before), np.array(after), 10.0, 10.0 * others)


BEFORE = [8.0, 10.0, 12.0, 9.0]


def test_the_largest_gain_that_forgets_little_is_chosen() -> None:
    small = verdict(0.25, BEFORE, [7.6, 9.5, 11.5, 8.6])
    large = verdict(0.5, BEFORE, [7.0, 9.0, 11.0, 8.0], others=1.009)
    forgetful = verdict(1.0, BEFORE, [5.0, 6.0, 7.0, 5.5], others=1.02)
    assert choose([small, large, forgetful]) is large


def test_forgetting_and_chance_are_refused_with_their_figures() -> None:
    with pytest.raises(InputError, match=r"other kinds.*\+2\.0%"):
        choose([verdict(1.0, BEFORE, [5.0, 6.0, 7.0, 5.5], others=1.02)])
    with pytest.raises(InputError, match="no better"):
        choose([verdict(1.0, BEFORE, [4.0, 13.0, 12.0, 9.0])])
    with pytest.raises(InputError, match="no better"):
        choose([verdict(1.0, BEFORE, [value + 0.1 for value in BEFORE])])
    with pytest.raises(InputError, match="no better"):
        choose([verdict(1.0, BEFORE[:1], [1.0])])


def test_weights_move_from_the_start_to_the_trained_ones() -> None:
    start, trained = MobileUNet().eval(), MobileUNet().eval()
    trained.detail.weight.data.fill_(1)
    for step in (0.0, 0.5, 1.0):
        torch.testing.assert_close(
            interpolate(start, trained, step).detail.weight, torch.full_like(start.detail.weight, step)
        )
