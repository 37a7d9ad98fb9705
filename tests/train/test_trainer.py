from dataclasses import replace
from pathlib import Path

import pytest
import torch

from colorcli.errors import InputError, UsageError
from colorcli.networks.generators import GENERATORS
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.train.config import Config, Phase
from colorcli.train.distributed import ProcessGroup
from colorcli.train.objective import Objective
from colorcli.train.trainer import STATE, Trainer, learning_rate

AGAINST = Phase("against", crops=1_000, size=64, batch=4, adversarial=1.0)


def trainer(device: str = "cpu", **settings: object) -> Trainer:
    return Trainer(Config(**settings), torch.device(device), ProcessGroup())  # type: ignore[arg-type]


def losses(trained: Trainer, phase: Phase, example: dict[str, torch.Tensor]) -> dict[str, float]:
    """Of one step, by name."""
    return {name: float(part) for name, part in trained.step(phase, 0, example).items()}


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
def test_a_step_updates_generator_average_and_discriminator(
    squeezenet_weights: Path, with_features: bool
) -> None:
    trained = trainer(feature_extractor=str(squeezenet_weights) if with_features else "")
    networks = [trained.generator, trained.averaged, trained.discriminator]
    before = [[p.clone() for p in network.parameters()] for network in networks]
    parts = trained.step(AGAINST, 0, batch())
    assert ("perceptual" in parts) == with_features
    assert {"reconstruction", "classification", "adversarial", "discriminator"} <= parts.keys()
    for network, weights in zip(networks, before, strict=True):
        assert any(not torch.equal(new, old) for new, old in zip(network.parameters(), weights, strict=True))


def test_a_run_that_diverged_keeps_its_last_state(tmp_path: Path) -> None:
    trained = trainer()
    trained.save_state(tmp_path)
    before = (tmp_path / STATE).read_bytes()
    next(trained.averaged.parameters()).data[0] = torch.nan
    with pytest.raises(InputError, match="lower learning_rate"):
        trained.save_state(tmp_path)
    assert (tmp_path / STATE).read_bytes() == before


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_all_losses_take_part(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    trained = trainer(device, feature_extractor="efficientnet-lite0", recognition=1.0, auxiliary=1.0)
    parts = trained.step(replace(AGAINST, colorfulness=1.0), 0, batch(device))
    expected = {"perceptual", "recognition", "auxiliary", "colorfulness_loss", "adversarial", "discriminator"}
    assert expected <= parts.keys()
    assert min(parts["recognition"], parts["auxiliary"]) > 0


def test_losses_in_half_precision_are_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    example, settings = batch(), {"feature_extractor": "efficientnet-lite0", "recognition": 1.0, "muon": True}
    whole = losses(trainer(**settings), AGAINST, example)
    monkeypatch.setattr(Objective, "autocast", lambda _: torch.autocast("cpu", torch.bfloat16))
    half = losses(trainer(**settings), AGAINST, example)
    assert half != whole
    # The pictures are noise; recognition is the least certain loss for them, and differs by 15 %.
    assert half == pytest.approx(whole, rel=0.25, abs=0.02)


def test_recognition_needs_an_extractor_with_a_classifier(squeezenet_weights: Path) -> None:
    for weights in ("", str(squeezenet_weights)):
        with pytest.raises(UsageError, match="recognizes nothing"):
            trainer(feature_extractor=weights, recognition=1.0)


def test_recomputed_batchnorm_gives_the_output_of_training() -> None:
    recomputed, condition = (
        trainer(),
        torch.rand(4, 4, 128, 128),
    )  # large enough for statistics of the deepest
    with torch.no_grad():
        before = recomputed.averaged.eval()(condition)
        training = recomputed.generator.train()(condition)
        recomputed.recompute_batchnorm(recomputed.averaged, [condition])
        assert not recomputed.averaged.training
        assert (recomputed.averaged(condition) - training).abs().mean() < 0.1 * (
            before - training
        ).abs().mean()


class Dropping(MobileUNet):
    """With dropout, and without logits, as `pix2pix_unet`."""

    def predict(self, condition: torch.Tensor) -> tuple[torch.Tensor, None]:
        return super().predict(torch.nn.functional.dropout(condition))[0], None


def test_a_step_depends_on_its_number_and_not_on_numbers_drawn_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(GENERATORS, "dropping", Dropping)
    example, parts = batch(), []
    for drawn in (0, 5):
        dropping = trainer(generator="dropping")
        torch.rand(drawn)
        parts.append(losses(dropping, AGAINST, example))
    assert parts[0] == parts[1]
