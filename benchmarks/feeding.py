"""How much the pipeline around the network can feed to a fast card: pictures and film on a simulated one.

    python benchmarks/feeding.py PICTURES examples/market_street_1906.mkv

The simulated card answers gray after a millisecond a call. What is left is the time for decoding, optical
flow, upsampling and encoding, so the figures are the most that any card can be kept busy with.
"""

import argparse
import os
import pstats
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import av

CARD = """
import time
import numpy as np
import colorcli.engines.onnxruntime as module

class Card(module.OnnxEngine):
    def run(self, tensors):
        condition = tensors["condition"]
        time.sleep({seconds})
        return {{"chroma": np.zeros((len(condition), 2, *condition.shape[2:]), np.float32)}}

module.OnnxEngine = Card
"""
LONGEST = 12
"""Lines of the profile that are printed."""


def main() -> None:
    arguments = parse()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(CARD.format(seconds=arguments.milliseconds / 1000))
        pictures = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
        for jobs in arguments.jobs:
            seconds = timed(folder, [*map(str, pictures), "--jobs", str(jobs)])
            report(f"{len(pictures)} pictures, {jobs} workers", len(pictures) / seconds, "pictures")
        with av.open(arguments.film) as film:
            frames = sum(1 for _ in film.decode(video=0))
        report(f"{frames} frames of film", frames / timed(folder, [str(arguments.film)]), "frames")
        for what in (str(pictures[0]), str(arguments.film)):
            profile(folder, what)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of pictures")
    parser.add_argument("film", type=Path)
    parser.add_argument("--milliseconds", type=float, default=1, help="time of the card for a call")
    parser.add_argument("--jobs", type=int, nargs="+", default=(1, 2))
    return parser.parse_args()


def timed(site: Path, arguments: list[str]) -> float:
    """Seconds that a run takes on the simulated card, without its start."""
    start = perf_counter()
    run(site, ["--version"])
    middle = perf_counter()
    run(site, ["run", *arguments, "-o", str(site / "out"), "--device", "cpu", "--overwrite", "--quiet"])
    return perf_counter() - middle - (middle - start)


def run(site: Path, arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    subprocess.run([sys.executable, "-m", "colorcli", *arguments], env=environment, check=True)


def profile(site: Path, source: str) -> None:
    """Print where the time of one input goes."""
    stats = site / "profile"
    arguments = ["run", source, "-o", str(site / "out"), "--overwrite", "--quiet", "--jobs", "1"]
    command = [sys.executable, "-m", "cProfile", "-o", str(stats), "-m", "colorcli", *arguments]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(site)}, check=False)
    pstats.Stats(str(stats)).sort_stats("tottime").print_stats(LONGEST)


def report(what: str, rate: float, unit: str) -> None:
    sys.stdout.write(f"{what}: {rate:.1f} {unit} a second\n")


if __name__ == "__main__":
    main()
