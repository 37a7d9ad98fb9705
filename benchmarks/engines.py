"""Every installed engine and precision, beside the pix2pix U-Net run the same way in the same process.

    python benchmarks/engines.py generator.safetensors --calibrate PICTURES -o benchmarks/results

Writes engines.json, engines.md and, where matplotlib is installed, engines.png. The engines of a network take
turns in a shuffled order, so that whatever else the machine does meets all of them alike; the fastest call is
the figure least disturbed by it, the median is what one may expect. Above four megapixels a call they run one
after another: engines keep the memory of their largest call, and all of them together would need too much.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from colorcli.engines.builders.export import calibration_conditions, export_generator
from colorcli.engines.builders.onnx import export_onnx
from colorcli.engines.builders.parity import sample_condition
from colorcli.engines.builders.quantize import FOR_CPU, quantize
from colorcli.engines.builders.request import ExportRequest
from colorcli.engines.device import cpu_threads
from colorcli.engines.engine_file import EngineOptions, Profile
from colorcli.engines.registry import BACKENDS, Backend
from colorcli.errors import ColorcliError
from colorcli.evaluation.pictures import find_pictures
from colorcli.networks.card import ModelCard
from colorcli.networks.checkpoint import load_generator, save_generator
from colorcli.networks.pix2pix_unet import Pix2PixUNet

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
SEED = 123
ENGINE = EngineOptions((Profile((1, 256, 256), (8, 512, 512), (8, 1024, 1024)),))
REFERENCE = "torch eager"
TOGETHER = 4 << 20
"""Pixels in a call up to which all engines of a network are open at the same time."""
CASES = [(size, batch) for size in (256, 512, 1024) for batch in (1, 8)]


@dataclass(frozen=True)
class Entrant:
    network: str
    engine: str
    precision: str
    device: str
    open: Callable[[ExitStack], Run]
    """Ready to run until the stack is closed."""


@dataclass(frozen=True)
class Figure:
    network: str
    engine: str
    precision: str
    device: str
    size: int
    batch: int
    calls: int
    best_ms: float
    median_ms: float
    pictures_per_second: float
    """By the fastest call."""
    mean_difference: float
    """Of chroma to torch eager, in code values."""
    memory_mb: float
    """Resident memory that opening it and its first call took."""


def main() -> None:
    arguments = parse()
    torch.set_num_threads(cpu_threads())
    with TemporaryDirectory() as folder:
        checkpoints = {"ours": arguments.checkpoint, "pix2pix": pix2pix(Path(folder))}
        entrants = [
            list(entered(network, checkpoint, files(network, checkpoint, arguments.calibrate, Path(folder))))
            for network, checkpoint in checkpoints.items()
        ]
        figures: list[Figure] = []
        for size, batch in arguments.cases:
            together = batch * size**2 <= TOGETHER
            for network in entrants:
                groups = [network] if together else [[one] for one in network]
                reference = eager(checkpoints[network[0].network])(sample_condition((batch, 4, size, size)))
                for group in groups:
                    seconds = arguments.seconds / len(entrants) / len(groups)
                    with ExitStack() as stack:
                        figures += compete(group, reference, stack, arguments.calls, seconds)
            write(arguments.output, figures)  # after each case: the last ones take long


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--calibrate", type=Path, help="folder of pictures for int8; without it, no int8")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--cases", type=case, nargs="+", default=CASES, help="as 256x8: size and batch")
    parser.add_argument("--calls", type=int, default=20, help="of each engine at each size, at most")
    parser.add_argument("--seconds", type=float, default=120, help="for all engines at one size, about")
    return parser.parse_args()


def case(text: str) -> tuple[int, int]:
    size, batch = text.split("x")
    return int(size), int(batch)


def entered(network: str, checkpoint: Path, made: Iterator[tuple[str, Path]]) -> Iterator[Entrant]:
    """A network in every engine and precision there is, on every device each has."""
    yield Entrant(network, REFERENCE, "fp32", "cpu", lambda _: eager(checkpoint))
    for precision, path in made:
        for backend in BACKENDS.values():
            if backend.suffix != path.suffix or backend.missing:
                continue
            for device in ("cpu", "cuda"):
                # torch computes in half precision on CUDA, whatever the checkpoint holds
                shown = "fp16" if backend.name == "torch" and device == "cuda" else precision
                with suppress(ColorcliError):  # it has no such device
                    backend.open(path, device).close()
                    yield Entrant(
                        network, backend.name, shown, device, partial(opened, backend, path, device)
                    )


def opened(backend: Backend, path: Path, device: str, stack: ExitStack) -> Run:
    engine = stack.enter_context(backend.open(path, device))
    return lambda condition: engine.run({"condition": condition})["chroma"]


def files(network: str, checkpoint: Path, calibrate: Path | None, folder: Path) -> Iterator[tuple[str, Path]]:
    """The checkpoint and what can be exported from it here, by precision."""
    yield "fp32", checkpoint
    for precision in ("fp32", "fp16"):
        path = folder / f"{network}-{precision}.onnx"
        card = export_onnx(checkpoint, path, precision)
        yield precision, path
    if calibrate is not None:
        path = folder / f"{network}-int8.onnx"
        conditions = calibration_conditions(find_pictures([str(calibrate)]), card)
        quantize(folder / f"{network}-fp32.onnx", path, conditions, settings=FOR_CPU)
        yield "int8", path
    if not BACKENDS["tensorrt"].missing and torch.cuda.is_available():
        for precision in ("fp32", "fp16"):
            path = folder / f"{network}-{precision}.engine"
            export_generator(ExportRequest(checkpoint, path, precision, engine=ENGINE), lambda *_: True)
            yield precision, path


def pix2pix(folder: Path) -> Path:
    """The classic with random weights: how fast it is does not depend on them."""
    torch.manual_seed(SEED)
    path = folder / "pix2pix.safetensors"
    card = ModelCard(name="pix2pix", version="1", architecture="pix2pix_unet", multiple_of=256)
    save_generator(Pix2PixUNet().eval(), card, path)
    return path


def eager(checkpoint: Path) -> Run:
    """The network as training leaves it: what every other figure is compared with."""
    generator, _ = load_generator(checkpoint)

    def run(condition: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            chroma: NDArray[np.float32] = generator(torch.from_numpy(condition)).numpy()
        return chroma

    return run


def resident_mb() -> float:
    gc.collect()
    with suppress(AttributeError):  # glibc only: what others freed must not hide what the next one takes
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def compete(
    entrants: list[Entrant], reference: NDArray[np.float32], stack: ExitStack, calls: int, seconds: float
) -> Iterator[Figure]:
    """All entrants in turns, until each had its calls or the time is up; each has one at least.

    `reference` is what torch eager makes of the sample condition, [N, 2, H, W].
    """
    batch, _, _, size = reference.shape
    condition = sample_condition((batch, 4, size, size))
    runs, memory, differences = {}, {}, {}
    for one in entrants:  # the first call at a size is not timed
        before = resident_mb()
        runs[one] = one.open(stack)
        differences[one] = 255 * float(np.abs(runs[one](condition) - reference).mean())
        memory[one] = max(0.0, resident_mb() - before)
    times: dict[Entrant, list[float]] = {one: [] for one in entrants}
    shuffled = random.Random(SEED)
    start = perf_counter()
    while len(times[entrants[0]]) < calls:
        for one in shuffled.sample(entrants, len(entrants)):
            begin = perf_counter()
            runs[one](condition)
            times[one].append(1000 * (perf_counter() - begin))
        if perf_counter() - start > seconds:
            break
    for one in entrants:
        best = min(times[one])
        yield Figure(
            one.network, one.engine, one.precision, one.device, size, batch, len(times[one]),
            round(best, 2), round(median(times[one]), 2), round(1000 * batch / best, 2),
            round(differences[one], 4), round(memory[one]),
        )  # fmt: skip


def write(folder: Path, figures: list[Figure]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    hardware = f"{processor()}, {cpu_threads()} cores"
    if torch.cuda.is_available():
        hardware += f"; {torch.cuda.get_device_name()}"
    content = {"hardware": hardware, "torch": torch.__version__, "figures": [asdict(one) for one in figures]}
    (folder / "engines.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "engines.md").write_text(table(figures, hardware))
    with suppress(ModuleNotFoundError):  # the plot is a convenience: JSON and table say the same
        plot(figures, hardware, folder / "engines.png")


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def table(figures: list[Figure], hardware: str) -> str:
    """Markdown: times beside how many times faster than pix2pix in torch eager each is."""
    rows = [
        f"{hardware}. Fastest call and median in milliseconds; speed against pix2pix (54 M) in torch eager.",
        "",
        "| size | batch | network | engine | best ms | median ms | pictures/s | times pix2pix "
        "| mean difference | memory MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        (classic,) = (
            other for other in figures
            if (other.network, other.engine, other.size, other.batch)
            == ("pix2pix", REFERENCE, one.size, one.batch)
        )  # fmt: skip
        rows.append(
            f"| {one.size} | {one.batch} | {one.network} | {one.engine} {one.precision}, {one.device} "
            f"| {one.best_ms:.1f} | {one.median_ms:.1f} | {one.pictures_per_second:.1f} "
            f"| {classic.best_ms / one.best_ms:.1f} | {one.mean_difference:.3f} | {one.memory_mb:.0f} |"
        )
    return "\n".join(rows) + "\n"


def plot(figures: list[Figure], hardware: str, path: Path) -> None:
    from matplotlib import pyplot

    cases = sorted({(one.size, one.batch) for one in figures})
    panels = pyplot.subplots(1, len(cases), figsize=(4 * len(cases), 5), squeeze=False, sharey=True)[1][0]
    for axes, case in zip(panels, cases, strict=True):
        shown = [one for one in figures if (one.size, one.batch) == case]
        names = [f"{one.network}, {one.engine} {one.precision}, {one.device}" for one in shown]
        colors = ["tab:blue" if one.network == "ours" else "tab:gray" for one in shown]
        axes.barh(names, [one.pictures_per_second for one in shown], color=colors)
        axes.set(title=f"{case[0]}x{case[0]}, batch {case[1]}", xlabel="pictures per second")
    panels[0].invert_yaxis()
    panels[0].figure.suptitle(hardware)
    panels[0].figure.savefig(path, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
