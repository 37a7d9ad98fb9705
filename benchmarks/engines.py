"""Times every installed engine and precision, and the pix2pix U-Net in the same engines for comparison.

    python benchmarks/engines.py generator.safetensors --calibrate PICTURES -o benchmarks/results

Last result: at 256x256, one picture a call, version 10 took 15.2 ms in ONNX Runtime (fp32, the default) and
12.5 ms in OpenVINO (int8); pix2pix took 88.3 ms in ONNX Runtime. Fastest of 20 calls each, in one run, on 2
cores of an AMD EPYC (Zen 4).

Writes engines.json, engines.md and, where matplotlib is installed, engines.png. The engines of a network take
turns in shuffled order, so that other load on the machine affects all of them alike. The fastest call is the
figure that load disturbs least; the median is what to expect. Above four megapixels a call, one engine runs
after another: engines keep the memory of their largest call, and together they would need too much.
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

from colorcli.engines.builders.calibration import calibration_inputs
from colorcli.engines.builders.export import export_model
from colorcli.engines.builders.half import halve
from colorcli.engines.builders.onnx import export_onnx
from colorcli.engines.builders.parity import sample_condition
from colorcli.engines.builders.quantize import FOR_CPU, quantize
from colorcli.engines.builders.request import ExportRequest
from colorcli.engines.device import cpu_threads
from colorcli.engines.engine_file import EngineOptions, Profile
from colorcli.engines.registry import BACKENDS, Backend
from colorcli.errors import ColorcliError
from colorcli.evaluation.pictures import find_pictures
from colorcli.models.registry import AUTO
from colorcli.networks.card import ModelCard
from colorcli.networks.checkpoint import load_generator, save_generator
from colorcli.networks.pix2pix_unet import Pix2PixUNet

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
SEED = 123
ENGINE = EngineOptions((Profile((1, 256, 256), (8, 512, 512), (8, 1024, 1024)),))
REFERENCE = "torch eager"
TOGETHER = 4 << 20
"""Pixels a call up to which all engines of a network are open at the same time."""
CASES = [(size, batch) for size in (256, 512, 1024) for batch in (1, 8)]


@dataclass(frozen=True)
class Candidate:
    """A network in one engine, precision and device."""

    network: str
    engine: str
    precision: str
    device: str
    open: Callable[[ExitStack], Run]
    """Opens the engine, which then runs until the stack is closed."""


@dataclass(frozen=True)
class Figure:
    """The speed of a candidate at one size and batch."""

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
    """In the fastest call."""
    mean_difference: float
    """Of chroma from torch eager's, in code values."""
    memory_mb: float
    """Resident memory taken by opening the engine and by its first call."""


def main() -> None:
    arguments = parse()
    torch.set_num_threads(cpu_threads())
    with TemporaryDirectory() as folder:
        checkpoints = {"ours": arguments.checkpoint, "pix2pix": pix2pix(Path(folder))}
        candidates = [
            list(
                candidates_of(
                    network, checkpoint, files(network, checkpoint, arguments.calibrate, Path(folder))
                )
            )
            for network, checkpoint in checkpoints.items()
        ]
        figures: list[Figure] = []
        for size, batch in arguments.cases:
            together = batch * size**2 <= TOGETHER
            for network in candidates:
                groups = [network] if together else [[one] for one in network]
                reference = eager(checkpoints[network[0].network])(sample_condition((batch, 4, size, size)))
                for group in groups:
                    seconds = arguments.seconds / len(candidates) / len(groups)
                    with ExitStack() as stack:
                        figures += measure(group, reference, stack, arguments.calls, seconds)
            write(arguments.output, figures)  # after each case, because the last ones take long


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--calibrate", type=Path, help="folder of pictures for int8; without it, no int8")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--cases", type=case, nargs="+", default=CASES, help="as 256x8: size and batch")
    parser.add_argument("--calls", type=int, default=20, help="most calls of each engine at each size")
    parser.add_argument("--seconds", type=float, default=120, help="time for all engines at one size")
    return parser.parse_args()


def case(text: str) -> tuple[int, int]:
    size, batch = text.split("x")
    return int(size), int(batch)


def candidates_of(network: str, checkpoint: Path, made: Iterator[tuple[str, Path]]) -> Iterator[Candidate]:
    """A network in every installed engine, in every precision and on every device."""
    yield Candidate(network, REFERENCE, "fp32", "cpu", lambda _: eager(checkpoint))
    for precision, path in made:
        for backend in BACKENDS.values():
            if backend.suffix != path.suffix or backend.missing:
                continue
            for device in ("cpu", "cuda"):
                # torch computes in half precision on CUDA, whatever the checkpoint holds
                shown = "fp16" if backend.name == "torch" and device == "cuda" else precision
                with suppress(ColorcliError):  # it has no such device
                    backend.open(path, device).close()
                    yield Candidate(
                        network, backend.name, shown, device, partial(opened, backend, path, device)
                    )


def opened(backend: Backend, path: Path, device: str, stack: ExitStack) -> Run:
    engine = stack.enter_context(backend.open(path, device))
    return lambda condition: engine.run({"condition": condition})["chroma"]


def files(network: str, checkpoint: Path, calibrate: Path | None, folder: Path) -> Iterator[tuple[str, Path]]:
    """The checkpoint and everything that can be exported from it here, with the precision."""
    yield "fp32", checkpoint
    model, half, small = (folder / f"{network}-{precision}.onnx" for precision in ("fp32", "fp16", "int8"))
    export_onnx(checkpoint, model)
    yield "fp32", model
    halve(model, half)
    yield "fp16", half
    if calibrate is not None:
        inputs = calibration_inputs(model, AUTO, find_pictures([str(calibrate)]))
        quantize(model, small, inputs, settings=FOR_CPU)
        yield "int8", small
    if not BACKENDS["tensorrt"].missing and torch.cuda.is_available():
        for precision in ("fp32", "fp16"):
            path = folder / f"{network}-{precision}.engine"
            export_model(ExportRequest(checkpoint, path, precision, engine=ENGINE), lambda *_: True)
            yield precision, path


def pix2pix(folder: Path) -> Path:
    """The baseline with random weights, which do not affect its speed."""
    torch.manual_seed(SEED)
    path = folder / "pix2pix.safetensors"
    card = ModelCard(name="pix2pix", version="1", architecture="pix2pix_unet", multiple_of=256)
    save_generator(Pix2PixUNet().eval(), card, path)
    return path


def eager(checkpoint: Path) -> Run:
    """The network as training leaves it, the reference for all figures."""
    generator, _ = load_generator(checkpoint)

    def run(condition: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            chroma: NDArray[np.float32] = generator(torch.from_numpy(condition)).numpy()
        return chroma

    return run


def resident_mb() -> float:
    gc.collect()
    with suppress(AttributeError):  # glibc only: freed memory must not hide what the next engine takes
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(
    candidates: list[Candidate], reference: NDArray[np.float32], stack: ExitStack, calls: int, seconds: float
) -> Iterator[Figure]:
    """Time all candidates in turns, until each had its calls or the time is up, with one call each at least.

    `reference` is torch eager's chroma for the sample condition, [N, 2, H, W].
    """
    batch, _, _, size = reference.shape
    condition = sample_condition((batch, 4, size, size))
    runs, memory, differences = {}, {}, {}
    for candidate in candidates:  # the first call at a size is not timed
        before = resident_mb()
        runs[candidate] = candidate.open(stack)
        differences[candidate] = 255 * float(np.abs(runs[candidate](condition) - reference).mean())
        memory[candidate] = max(0.0, resident_mb() - before)
    times: dict[Candidate, list[float]] = {candidate: [] for candidate in candidates}
    shuffled = random.Random(SEED)
    start = perf_counter()
    while len(times[candidates[0]]) < calls:
        for candidate in shuffled.sample(candidates, len(candidates)):
            begin = perf_counter()
            runs[candidate](condition)
            times[candidate].append(1000 * (perf_counter() - begin))
        if perf_counter() - start > seconds:
            break
    for one in candidates:
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
    content = {
        "hardware": hardware,
        "torch": torch.__version__,
        "figures": [asdict(figure) for figure in figures],
    }
    (folder / "engines.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "engines.md").write_text(table(figures, hardware))
    with suppress(ModuleNotFoundError):  # optional, because JSON and table have the same figures
        plot(figures, hardware, folder / "engines.png")


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def table(figures: list[Figure], hardware: str) -> str:
    """Times in Markdown, with the speed relative to pix2pix in torch eager."""
    rows = [
        f"{hardware}. Fastest call and median in milliseconds; speed against pix2pix (54 M) in torch eager.",
        "",
        "| size | batch | network | engine | best ms | median ms | pictures/s | times pix2pix "
        "| mean difference | memory MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        (baseline,) = (
            other for other in figures
            if (other.network, other.engine, other.size, other.batch)
            == ("pix2pix", REFERENCE, one.size, one.batch)
        )  # fmt: skip
        rows.append(
            f"| {one.size} | {one.batch} | {one.network} | {one.engine} {one.precision}, {one.device} "
            f"| {one.best_ms:.1f} | {one.median_ms:.1f} | {one.pictures_per_second:.1f} "
            f"| {baseline.best_ms / one.best_ms:.1f} | {one.mean_difference:.3f} | {one.memory_mb:.0f} |"
        )
    return "\n".join(rows) + "\n"


def plot(figures: list[Figure], hardware: str, path: Path) -> None:
    from matplotlib import pyplot

    cases = sorted({(figure.size, figure.batch) for figure in figures})
    panels = pyplot.subplots(1, len(cases), figsize=(4 * len(cases), 5), squeeze=False, sharey=True)[1][0]
    for axes, case in zip(panels, cases, strict=True):
        shown = [figure for figure in figures if (figure.size, figure.batch) == case]
        names = [f"{figure.network}, {figure.engine} {figure.precision}, {figure.device}" for figure in shown]
        colors = ["tab:blue" if figure.network == "ours" else "tab:gray" for figure in shown]
        axes.barh(names, [figure.pictures_per_second for figure in shown], color=colors)
        axes.set(title=f"{case[0]}x{case[0]}, batch {case[1]}", xlabel="pictures per second")
    panels[0].invert_yaxis()
    panels[0].figure.suptitle(hardware)
    panels[0].figure.savefig(path, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
