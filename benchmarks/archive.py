"""Images per second, against what decoding and encoding the same files with OpenCV takes.

    python benchmarks/archive.py [--count 12] [--model FILE] [--json FILE]

Last result, wall time as a multiple of OpenCV's, without the start: gray JPEG 1.4, JPEG with neutral chroma
1.6, tinted JPEG 2.0, 16-bit TIFF 1.25; the start 0.7 s. Two cores of an Intel Xeon, 48 files of each kind,
the faster of two runs.

Pictures of 12 megapixels are made of gradients, edges and grain: gray JPEGs, JPEGs with neutral or tinted
chroma planes, and 16-bit TIFFs. For each kind, OpenCV and `colorcli run` process the same files with as
many processes; wall time, CPU time of all processes and peak memory of the largest one are measured in the
same run. The start of colorcli (interpreter, model) is measured with one tiny picture and shown separately.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

# One thread each, as in colorcli's workers; and forked children hang on a thread pool of their parent's.
cv2.setNumThreads(1)

HEIGHT, WIDTH = 3000, 4000
KINDS = ("gray.jpg", "neutral.jpg", "toned.jpg", "gray16.tif")
SEPIA = (0.82, 0.94, 1.06)
"""Blue, green and red of a toned print, as shares of its gray."""


@dataclass(frozen=True)
class Cost:
    wall: float
    """Seconds for all files."""
    cpu: float
    """Seconds of all processes."""
    peak: int
    """Bytes of the largest process."""


def picture(number: int) -> np.ndarray:
    """A gray scene [HEIGHT, WIDTH] in [0, 1] with smooth tones, edges and film grain."""
    rng = np.random.default_rng(number)
    coarse = rng.random((HEIGHT // 250, WIDTH // 250)).astype(np.float32)
    scene = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        center = tuple(int(value) for value in rng.integers((0, 0), (WIDTH, HEIGHT)))
        cv2.circle(scene, center, int(rng.integers(40, 400)), float(rng.random()), -1)
    grain = cv2.GaussianBlur(rng.normal(0, 0.05, scene.shape).astype(np.float32), (0, 0), 1.2)
    return np.clip(scene + grain, 0, 1)


def make(folder: Path, kind: str, count: int) -> list[Path]:
    paths = [folder / f"{number:03}-{kind}" for number in range(count)]
    for number, path in enumerate(paths):
        scene = picture(number)
        if kind == "gray16.tif":
            cv2.imwrite(str(path), np.rint(scene * 65535).astype(np.uint16))
            continue
        gray = np.rint(scene * 255).astype(np.uint8)
        if kind != "gray.jpg":
            gray = cv2.merge([cv2.convertScaleAbs(gray, alpha=share) for share in _tone(kind)])
        cv2.imwrite(str(path), gray, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def _tone(kind: str) -> tuple[float, float, float]:
    return SEPIA if kind == "toned.jpg" else (1, 1, 1)


def floor_one(paths: tuple[str, str]) -> None:
    """Decode as color and encode again: what any colorizer has to do at least."""
    source, output = paths
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    cv2.imwrite(output, cv2.imread(source, flags))


def measured(work: Callable[[], object]) -> Cost:
    """Run `work` in a child of its own, so that its children's peak and CPU time are its own as well."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_measured_inside, args=(work, writer))
    child.start()
    cost: Cost = reader.recv()
    child.join()
    return cost


def _measured_inside(work: Callable[[], object], writer: "multiprocessing.connection.Connection") -> None:
    start = time.perf_counter()
    work()
    wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    writer.send(Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))


def floor(sources: list[Path], folder: Path, jobs: int) -> Cost:
    folder.mkdir()
    pairs = [(str(source), str(folder / source.name)) for source in sources]

    def work() -> None:
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            pool.map(floor_one, pairs, chunksize=1)
            pool.close()
            pool.join()

    return measured(work)


def colorcli(sources: list[Path], folder: Path, jobs: int, model: str | None) -> Cost:
    command = [sys.executable, "-m", "colorcli", "run", *map(str, sources), "-o", f"{folder}/", "--quiet"]
    command += ["--jobs", str(jobs), "--overwrite", "--recolor", *(["--model", model] if model else [])]
    folder.mkdir()
    return measured(lambda: subprocess.run(command, check=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=12, help="pictures of each kind")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        tiny = place / "tiny.png"
        cv2.imwrite(str(tiny), np.zeros((32, 32), np.uint8))
        start = colorcli([tiny], place / "start", 1, options.model).wall
        sys.stdout.write(
            f"start {start:.2f} s, {options.jobs} processes, {options.count} files of each kind\n"
        )
        for kind in KINDS:
            folder = place / kind
            folder.mkdir()
            sources = make(folder, kind, options.count)
            floors = [floor(sources, place / f"{kind}-floor{turn}", options.jobs) for turn in range(2)]
            ours = [
                colorcli(sources, place / f"{kind}-ours{turn}", options.jobs, options.model)
                for turn in range(2)
            ]
            # The better of two turns each: other work on the machine only ever adds.
            low, our = (min(costs, key=lambda cost: cost.wall) for costs in (floors, ours))
            rate, net = options.count / our.wall, our.wall - start
            results[kind] = {"floor": asdict(low), "colorcli": asdict(our), "start": start}
            sys.stdout.write(
                f"{kind:12} floor {low.wall:6.2f} s wall {low.cpu:6.2f} s CPU"
                f" | colorcli {our.wall:6.2f} s wall"
                f" {our.cpu:6.2f} s CPU {our.peak / 1e6:5.0f} MB {rate:5.2f} pictures/s"
                f" | {our.wall / low.wall:4.2f}x, {net / low.wall:4.2f}x without the start\n"
            )
            sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
