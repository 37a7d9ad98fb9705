"""Compares the network's speed on a GPU with its upper bound, and times a video end to end.

    python benchmarks/gpu.py generator.safetensors examples/market_street_1906.mkv

Last result: none; it has not run on a GPU yet.

Each layer takes at least its operations over the rate of the GPU's fastest matrix product, and at least its
bytes, read and written, over the rate of its copies; both rates are measured here. `--device cpu` tries the
script where there is no GPU.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import av
import torch
from torch import Tensor, nn

from colorcli import engines
from colorcli.engines.builders.parity import sample_condition
from colorcli.networks.batch_norm import fold_batch_norm
from colorcli.networks.checkpoint import load_generator

LAYERS = (nn.Conv2d, nn.ConvTranspose2d)
"""All operations between them can be fused into them, and so do not count for the floor."""


def main() -> None:
    arguments = parse()
    device = torch.device(arguments.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    generator, _ = load_generator(arguments.checkpoint)
    fold_batch_norm(generator)
    generator.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sample = torch.from_numpy(sample_condition((arguments.batch, 4, arguments.size, arguments.size)))
    batch = sample.to(device, dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        rates = {"flops_per_s": matrix_rate(device, dtype), "bytes_per_s": copy_rate(device)}
        floor = floor_seconds(generator, batch, **rates)
        network = network_seconds(generator, batch)
    whole = engine_seconds(arguments)
    result = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "size": arguments.size,
        "batch": arguments.batch,
        **rates,
        "floor_pictures_per_s": arguments.batch / floor,
        "network_pictures_per_s": arguments.batch / network,
        "network_share_of_floor": floor / network,
        "engine_with_copies_pictures_per_s": arguments.batch / whole,
        "video": video(arguments),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(arguments.output.read_text())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/gpu.json"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    return parser.parse_args()


def seconds(run: Callable[[], Any], device: torch.device, calls: int = 20) -> float:
    """Median time of `run`, with the device's queue empty before and after."""
    times = []
    for _ in range(calls + 3):  # three for warm-up
        synchronize(device)
        start = perf_counter()
        run()
        synchronize(device)
        times.append(perf_counter() - start)
    return median(times[3:])


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b, device)


def copy_rate(device: torch.device) -> float:
    """Bytes read and written per second by a copy within the device's memory."""
    source = torch.zeros(1 << (30 if device.type == "cuda" else 26), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * source.numel() / seconds(lambda: target.copy_(source), device)


def floor_seconds(generator: nn.Module, batch: Tensor, *, flops_per_s: float, bytes_per_s: float) -> float:
    """The sum over the layers of the least time each takes."""
    floors: list[float] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        (x,) = inputs
        tensors = (x, output, *layer.parameters())
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        # A transposed convolution multiplies per input value, a plain one per output value.
        values = x.numel() if isinstance(layer, nn.ConvTranspose2d) else output.numel()
        flops = 2 * values * layer.weight[0].numel()  # type: ignore[index]
        floors.append(max(flops / flops_per_s, size / bytes_per_s))

    hooks = [m.register_forward_hook(count) for m in generator.modules() if isinstance(m, LAYERS)]
    generator(batch)
    for hook in hooks:
        hook.remove()
    return sum(floors)


def network_seconds(generator: nn.Module, batch: Tensor) -> float:
    """The network alone, with its input on the device; on CUDA as one recorded graph."""
    if batch.device.type != "cuda":
        return seconds(lambda: generator(batch), batch.device, calls=3)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    torch.backends.cudnn.benchmark = True
    with torch.cuda.stream(stream):
        for _ in range(3):
            generator(batch)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        generator(batch)
    return seconds(graph.replay, batch.device)


def engine_seconds(arguments: argparse.Namespace) -> float:
    """A run of the engine, from host memory to host memory."""
    condition = sample_condition((arguments.batch, 4, arguments.size, arguments.size))
    with engines.open(arguments.checkpoint, arguments.device) as engine:
        calls = 20 if engine.device != "cpu" else 2
        return seconds(lambda: engine.run({"condition": condition}), torch.device("cpu"), calls)


def video(arguments: argparse.Namespace) -> dict[str, float]:
    """Frames per second of decoding alone, of the whole command, and of decoding and encoding alone."""
    start = perf_counter()
    with av.open(str(arguments.clip)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    rates = {"decoding": frames / (perf_counter() - start)}
    with TemporaryDirectory() as folder:
        colorized = Path(folder) / "colorized.mkv"
        command = [sys.executable, "-m", "colorcli", "run", str(arguments.clip), "-o", str(colorized)]
        command += ["--model", str(arguments.checkpoint), "--device", arguments.device, "--quiet"]
        start = perf_counter()
        subprocess.run(command, check=True)
        rates["end to end, with start-up"] = frames / (perf_counter() - start)
        start = perf_counter()
        encode(colorized, Path(folder) / "again.mkv")
        rates["decoding and encoding"] = frames / (perf_counter() - start)
    return {name: round(rate, 1) for name, rate in rates.items()} | {"frames": frames}


def encode(source: Path, target: Path) -> None:
    from colorcli.video.ffmpeg import find_ffmpeg

    command = [find_ffmpeg(), "-v", "error", "-nostdin", "-i", str(source), "-c:v", "libx264", str(target)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
