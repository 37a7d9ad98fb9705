from dataclasses import replace
from pathlib import Path

import pytest
import torch

from colorcli.errors import UsageError
from colorcli.train.config import Config, Phase
from colorcli.train.ranks import Ranks
from colorcli.train.trainer import Trainer, learning_rate

AGAINST = Phase("against", pictures=1_000, size=64, batch=4, adversarial=1.0)


def trainer(device: str = "cpu", **settings: object) -> Trainer:
    return Trainer(Config(**settings), torch.device(device), Ranks())  # type: ignore[arg-type]


def batch(device: str = "cpu") -> dict[str, torch.Tensor]:
    chroma = torch.rand(4, 2, 64, 64) / 2 - 0.25
    planes = {"condition": torch.rand(4, 4, 64, 64), "luma": torch.rand(4, 1, 64, 64), "chroma": chroma}
    return {name: plane.to(device) for name, plane in planes.items()}


def test_the_rate_rises_then_falls() -> None:
    rates = [learning_rate(AGAINST, done, warmup=200) for done in range(0, 1_000, 4)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.05 * AGAINST.learning_rate


@pytest.mark.parametrize("with_features", [False, True])
def test_a_step_teaches_generator_and_discriminator(squeezenet_weights: Path, with_features: bool) -> None:
    taught = trainer(perceptual_weights=str(squeezenet_weights) if with_features else "")
    networks = [taught.generator, taught.averaged, taught.discriminator]
    before = [[p.clone() for p in network.parameters()] for network in networks]
    parts = taught.step(AGAINST, 0, batch())
    assert ("perceptual" in parts) == with_features
    assert {"reconstruction", "classification", "adversarial", "discriminator"} <= parts.keys()
    for network, weights in zip(networks, before, strict=True):
        assert any(not torch.equal(new, old) for new, old in zip(network.parameters(), weights, strict=True))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_an_eye_that_recognizes_things_teaches_them(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    taught = trainer(device, perceptual_weights="efficientnet-lite0", recognition=1.0, second_opinion=1.0)
    parts = taught.step(replace(AGAINST, colorful=1.0), 0, batch(device))
    asked = {"perceptual", "recognition", "second_opinion", "colorful", "adversarial", "discriminator"}
    assert asked <= parts.keys()
    assert min(parts["recognition"], parts["second_opinion"]) > 0


def test_half_precision_asks_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shown, settings = batch(), {"perceptual_weights": "efficientnet-lite0", "recognition": 1.0, "muon": True}
    whole = trainer(**settings).step(AGAINST, 0, shown)
    monkeypatch.setattr(Trainer, "_in_half", lambda _: torch.autocast("cpu", torch.bfloat16))
    half = trainer(**settings).step(AGAINST, 0, shown)
    assert half != whole
    # Noise is shown: what an feature_extractor recognizes in it is the least certain of all parts, and differs by 15 %.
    assert half == pytest.approx(whole, rel=0.25, abs=0.02)


def test_recognition_is_not_asked_of_an_eye_that_has_none(squeezenet_weights: Path) -> None:
    for weights in ("", str(squeezenet_weights)):
        with pytest.raises(UsageError, match="recognizes nothing"):
            trainer(perceptual_weights=weights, recognition=1.0)


def test_a_settled_generator_does_what_it_did_in_training() -> None:
    settled, condition = trainer(), torch.rand(4, 4, 128, 128)  # large enough for statistics of the deepest
    with torch.no_grad():
        strange = settled.averaged.eval()(condition)
        trained = settled.generator.train()(condition)
        settled.recompute_batchnorm([condition])
        assert not settled.averaged.training
        assert (settled.averaged(condition) - trained).abs().mean() < 0.1 * (strange - trained).abs().mean()


def test_settling_draws_no_lots() -> None:
    classic = trainer(generator="pix2pix_unet")  # has dropout
    before = torch.get_rng_state()
    classic.recompute_batchnorm([torch.rand(2, 4, 256, 256, generator=torch.Generator().manual_seed(0))])
    assert torch.equal(torch.get_rng_state(), before)
