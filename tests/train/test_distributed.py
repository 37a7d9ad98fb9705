"""Two processes train what one trains with the same batches, where nothing but the batch joins samples."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.checkpoint import save_generator
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.train.config import Config, Phase
from colorcli.train.distributed import ProcessGroup
from colorcli.train.pack import Pack
from colorcli.train.trainer import Trainer
from colorcli.train.validate import scale_to_colorfulness, validate

CPU, SIZE = torch.device("cpu"), 32
PHASE = Phase("against", crops=1_000, size=SIZE, batch=4, adversarial=0.1)


def train(folder: Path) -> None:
    """Two steps, then the scores and a gain; writes weights and figures to a file."""
    torch.set_num_threads(1)
    processes = ProcessGroup.join(CPU)
    rank, size = processes.rank, processes.size
    config = Config(initial_weights=str(folder / "start.safetensors"), muon=True, warmup=0)
    with processes:
        trainer = Trainer(config, CPU, processes)
        for step in range(2):
            rng = torch.Generator().manual_seed(step)
            planes = {"condition": 4, "luma": 1, "chroma": 2}
            batch = {name: torch.rand(4, n, SIZE, SIZE, generator=rng) / 2 for name, n in planes.items()}
            trainer.step(PHASE, 0, {name: value[rank::size] for name, value in batch.items()})
        pixels = np.random.default_rng(0).integers(60, 200, (3, SIZE, SIZE, 3), np.uint8)
        offsets = [index * SIZE * SIZE * 3 for index in range(3)]
        pack = Pack(pixels.reshape(-1), list("abc"), [(SIZE, SIZE)] * 3, offsets, corrupt=[], dull=0)
        scores, sheet = validate(trainer.averaged, pack, [0, 1, 2], SIZE, CPU, processes)
        scaled = scale_to_colorfulness(trainer.averaged, list(pixels), CPU, 0.01, processes)
        weights = [network.state_dict() for network in (trainer.generator, trainer.discriminator, scaled)]
        torch.save((weights, scores, len(sheet), processes.largest(rank)), folder / f"{size}-{rank}.pt")


@pytest.mark.skipif(not dist.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_equal_one_with_the_same_batches(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = MobileUNet()
    torch.nn.init.normal_(start.detail.weight, std=0.02)
    fold_batch_norm(start.eval())  # batch norm's statistics are each process's own
    config = Config()
    card = Trainer(config, CPU, ProcessGroup()).card()
    save_generator(start, card, tmp_path / "start.safetensors")
    train(tmp_path)
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path)],
            env={**os.environ, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    alone, *shared = (
        torch.load(tmp_path / f"{name}.pt", weights_only=False) for name in ("1-0", "2-0", "2-1")
    )
    before = [network.state_dict() for network in (start, Trainer(config, CPU, ProcessGroup()).discriminator)]
    for weights, scores, rows, largest in shared:
        for own, other, old in zip(weights, alone[0], [*before, alone[0][0]], strict=True):
            # Rounding, which Adam enlarges where a gradient is nearly zero, beside what was learned.
            assert distance(own, other) < 0.02 * distance(other, old)
        assert scores == pytest.approx(alone[1], rel=1e-3)
        assert (rows, largest) == (3, 1)
    torch.testing.assert_close(shared[0][0], shared[1][0], rtol=0, atol=0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return float(sum((one[name] - other[name]).square().sum() for name in one)) ** 0.5


if __name__ == "__main__":
    train(Path(sys.argv[1]))
