"""How much the pipeline around the network can feed to a fast card: pictures and film on a simulated one.

    python benchmarks/feeding.py PICTURES examples/market_street_1906.mkv

The simulated card answers gray after a millisecond a call. What is left is the time for decoding, optical
flow, upsampling and encoding, so the figures are the most that any card can be kept busy with. The time to
start is that of a run of one picture a worker, or of a few frames; it is subtracted.
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
ONE_PROCESS = """
import cProfile
from pathlib import Path
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.job import Job, Kind
from colorcli.options import ColorOptions, RunOptions

with open_context(RunOptions(color=ColorOptions(device="cpu"))) as context, cProfile.Profile() as profile:
    for source in map(Path, {sources}):
        output = Path(__file__).with_name("profiled_" + source.name)
        execute(Job(source, output, Kind("{kind}")), context, lambda event: None)
profile.dump_stats({stats!r})
"""
LONGEST = 12
"""Lines of the profile that are printed."""
SHORT = 4
"""Frames of the run whose time is subtracted, as the time to start."""


def main() -> None:
    arguments = parse()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(CARD.format(seconds=arguments.milliseconds / 1000))
        pictures = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
        for jobs in arguments.jobs:
            options = ["--jobs", str(jobs)]
            start = timed(folder, [*map(str, pictures[:jobs]), *options])
            seconds = timed(folder, [*map(str, pictures), *options]) - start
            report(f"pictures, {jobs} workers", len(pictures) - jobs, seconds)
        with av.open(arguments.film) as film:
            frames = sum(1 for _ in film.decode(video=0))
        start = timed(folder, [str(arguments.film), "--end", f"{SHORT}f"])
        report("frames of film", frames - SHORT, timed(folder, [str(arguments.film)]) - start)
        profile(folder, pictures, "image")
        profile(folder, [arguments.film], "video")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of pictures")
    parser.add_argument("film", type=Path)
    parser.add_argument("--milliseconds", type=float, default=1, help="time of the card for a call")
    parser.add_argument("--jobs", type=int, nargs="+", default=(1, 2))
    return parser.parse_args()


def timed(site: Path, arguments: list[str]) -> float:
    """Seconds that a run takes on the simulated card."""
    options = ["-o", str(site / "out"), "--device", "cpu", "--overwrite", "--quiet"]
    start = perf_counter()
    python(site, ["-m", "colorcli", "run", *arguments, *options])
    return perf_counter() - start


def profile(site: Path, sources: list[Path], kind: str) -> None:
    """Print where the time of one process goes that does it all, once the model is open."""
    stats, script = site / "profile", site / "one.py"
    script.write_text(ONE_PROCESS.format(sources=list(map(str, sources)), kind=kind, stats=str(stats)))
    python(site, [str(script)])
    pstats.Stats(str(stats)).sort_stats("tottime").print_stats(LONGEST)


def python(site: Path, arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    subprocess.run([sys.executable, *arguments], env=environment, check=True)


def report(what: str, count: int, seconds: float) -> None:
    sys.stdout.write(f"{count} {what}: {count / seconds:.1f} a second\n")


if __name__ == "__main__":
    main()
