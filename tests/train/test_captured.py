"""The step as CUDA graphs: equal to the same calls one by one; without a GPU, that it can be captured."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from colorcli.train.auxiliary_extractors import TURNS, random_view
from colorcli.train.captured import WARM_UP, own_stream
from colorcli.train.config import Config, Phase
from colorcli.train.distributed import ProcessGroup
from colorcli.train.muon import Muon
from colorcli.train.trainer import Trainer

PHASE = Phase("against", crops=1_000, size=64, batch=4, adversarial=1.0, colorfulness=1.0)
CONFIG = Config(feature_extractor="efficientnet-lite0", recognition=1.0, auxiliary=1.0, muon=True)


def batch(device: str, seed: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    planes = {"condition": 4, "luma": 1, "chroma": 2}
    return {name: torch.rand(4, n, 64, 64, generator=rng).to(device) / 2 for name, n in planes.items()}


class OnTheDeviceAlone(TorchDispatchMode):
    """Fails for an operation that takes part of its input from the CPU; meta tensors hold no values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for each in tree_leaves((args, kwargs)):
            assert not isinstance(each, Tensor) or each.is_meta, f"{func} reads from the CPU"
        return func(*args, **(kwargs or {}))


def test_a_step_reads_nothing_back_and_takes_nothing_from_the_cpu() -> None:
    trainer = Trainer(CONFIG, torch.device("cpu"), ProcessGroup())
    for network in (trainer.generator, trainer.averaged, trainer.discriminator, trainer.objective):
        network.to("meta")
    trainer._ema_weight = trainer._ema_weight.to("meta")
    inputs = {**batch("meta"), "view": torch.from_numpy(random_view((0,))).float().to("meta")}
    trainer.compute(PHASE, inputs, 0)  # constants are brought to the device once
    for turn in (0, TURNS - 1):
        with OnTheDeviceAlone():
            parts = trainer.compute(PHASE, inputs, turn)
        assert all(part.is_meta for part in parts.values())
    for optimizer in (trainer.generator_optimizer, trainer.discriminator_optimizer):
        assert all(group["capturable"] for group in optimizer.param_groups)  # PyTorch refuses others


def test_muon_reads_nothing_back() -> None:
    network = nn.Conv2d(32, 32, 3, bias=False, device="meta")
    muon = Muon([{"params": network.parameters()}], ProcessGroup())
    muon.param_groups[0]["lr"] = torch.zeros((), device="meta")
    for mode in (nullcontext(), OnTheDeviceAlone()):  # the first step makes its state
        network(torch.ones(1, 32, 9, 9, device="meta")).sum().backward()
        with mode:
            muon.step()


def test_a_captured_step_equals_the_same_calls_one_by_one() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    device, results = torch.device("cuda"), []
    for captured in (False, True):
        with own_stream(device):
            trainer = Trainer(replace(CONFIG, cuda_graphs=captured), device, ProcessGroup())
            start = torch.nn.utils.parameters_to_vector(trainer.generator.parameters()).clone()
            for step in range(WARM_UP + 2 * TURNS):
                parts = trainer.step(PHASE, 4 * step, batch("cuda", step))
            networks = (trainer.generator, trainer.averaged, trainer.discriminator)
            weights = [torch.nn.utils.parameters_to_vector(each.parameters()) for each in networks]
            results.append((weights, {name: float(part) for name, part in parts.items()}))
    (eager, losses), (graphs, others) = results
    assert others == pytest.approx(losses, rel=0.05, abs=0.02)  # kernels add in any order
    moved = (eager[0] - start).norm()
    for one, other in zip(eager, graphs, strict=True):
        assert (one - other).norm() < 0.1 * moved
