"""Counts what a step of each phase of a recipe computes and moves, and how fast machines could do it at best.

    python benchmarks/train_step.py train/default.toml             # counts alone; no GPU, a few seconds
    python benchmarks/train_step.py train/default.toml --measure cuda:0

docs/experiments.md has the last result. Convolutions and matrix products are counted, forward and backward:
each takes at least its operations over the machine's rate of matrix products, and at least its bytes, read
and written once, over the rate of its memory. All other operations could be fused into them. Nothing is
computed for the count: it runs on PyTorch's meta device.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from colorcli.train.auxiliary_extractors import TURNS, random_view
from colorcli.train.captured import WARM_UP, own_stream
from colorcli.train.config import Config, Phase, load_config
from colorcli.train.distributed import ProcessGroup
from colorcli.train.trainer import Trainer

aten = torch.ops.aten


@dataclass(frozen=True)
class Machine:
    name: str
    flops: float
    """Of matrix products, each second."""
    bandwidth: float
    """Bytes each second."""
    value: int
    """Bytes of a value: 2 for bfloat16."""


MACHINES = (Machine("H100", 989e12, 3.35e12, 2), Machine("H200", 989e12, 4.8e12, 2))
"""By their data sheets: bfloat16 without sparsity, and memory."""


class Count(TorchDispatchMode):
    """Operations (multiplications and additions) and values moved by each convolution and matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = func._overloadpacket
        if kind is aten.convolution:
            self._add(result.numel() * args[1][0].numel(), args[0], args[1], result)
        elif kind is aten.convolution_backward:
            gradient, value, weight = args[:3]
            for wanted, other, made in zip(args[10], (weight, value), result, strict=False):
                if wanted:
                    self._add(gradient.numel() * weight[0].numel(), gradient, other, made)
        elif kind in (aten.mm, aten.addmm, aten.bmm):
            one, other = args[-2:]
            self._add(prod(result.shape) * one.shape[-1], one, other, result)
        return result

    def _add(self, products: int, *tensors: Tensor) -> None:
        self.kernels.append((2 * products, sum(tensor.numel() for tensor in tensors)))

    def seconds(self, machine: Machine) -> float:
        return sum(
            max(flops / machine.flops, values * machine.value / machine.bandwidth)
            for flops, values in self.kernels
        )


def count(config: Config, phase: Phase) -> Count:
    """A whole step without its optimizers."""
    trainer = Trainer(config, torch.device("cpu"), ProcessGroup())
    for network in (trainer.generator, trainer.averaged, trainer.discriminator, trainer.objective):
        network.to("meta")
    trainer._ema_weight = trainer._ema_weight.to("meta")
    with Count() as counted:
        trainer.compute(phase, sample(phase, torch.device("meta")), 0)
    return counted


def sample(phase: Phase, device: torch.device) -> dict[str, Tensor]:
    side, view = phase.size, torch.from_numpy(random_view((0,))).float()
    planes = {"condition": 4, "luma": 1, "chroma": 2}
    batch = {name: torch.rand(phase.batch, n, side, side) / 2 for name, n in planes.items()}
    return {
        **{name: value.to(device, memory_format=torch.channels_last) for name, value in batch.items()},
        "view": view.to(device),
    }


def measure(config: Config, phase: Phase, device: torch.device, steps: int) -> float:
    """Crops a second, with a batch that lies on the device; on a GPU as graphs, captured before."""
    with own_stream(device):
        trainer, batch = Trainer(config, device, ProcessGroup()), sample(phase, device)
        times = []
        for _ in range((WARM_UP + TURNS if device.type == "cuda" else 1) + steps):
            start = perf_counter()
            trainer.step(phase, 0, batch)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(perf_counter() - start)
    return phase.batch * steps / sum(times[-steps:])


def cpu() -> Machine:
    """This one, measured; float32."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    source = torch.zeros(1 << 26)
    target = torch.empty_like(source)
    rates = []
    for run, work in ((lambda: a @ b, 2 * 1024**3), (lambda: target.copy_(source), 8 * source.numel())):
        times = []
        for _ in range(7):
            start = perf_counter()
            run()
            times.append(perf_counter() - start)
        rates.append(work / min(times))
    flops, bandwidth = rates
    return Machine(f"this CPU, {torch.get_num_threads()} threads", flops, bandwidth, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--measure", metavar="DEVICE", type=torch.device)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, help="instead of the phases' own")
    arguments = parser.parse_args()
    config = replace(load_config(arguments.config), encoder_weights="")
    machines = (*MACHINES, cpu())
    for machine in machines[len(MACHINES) :]:
        sys.stdout.write(f"{machine.name}: {machine.flops:.3g} FLOP/s, {machine.bandwidth:.3g} B/s\n")
    for phase in config.phases:
        phase = replace(phase, batch=arguments.batch or phase.batch)
        counted = count(config, phase)
        flops, values = (sum(column) / phase.batch for column in zip(*counted.kernels, strict=True))
        line = f"{phase.name}: {flops / 1e9:.1f} GFLOP and {values / 1e6:.0f} M values for each crop; at best"
        rates = [f"{m.name} {phase.batch / counted.seconds(m):,.0f} crops/s" for m in machines]
        if arguments.measure:
            rate = measure(config, phase, arguments.measure, arguments.steps)
            rates.append(f"measured on {arguments.measure} {rate:,.1f} crops/s")
        sys.stdout.write(f"{line} {', '.join(rates)}\n")


if __name__ == "__main__":
    main()
