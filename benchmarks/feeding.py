"""How much the pipeline around the network can feed to a card: pictures and film on a simulated one.

    python benchmarks/feeding.py PICTURES examples/market_street_1906.mkv --call 1 --picture 0.2

The simulated card answers gray, after a time for the call and one for each picture in it. It does one call at
a time, whichever process asks. What is left is the time for decoding, optical flow, upsampling and encoding.
The time to start is that of a run of one picture a worker, or of a few frames; it is subtracted.
"""

import argparse
import os
import pstats
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import av

CARD = """
import fcntl, time
import numpy as np
import colorcli.engines.onnxruntime as module

class Card(module.OnnxEngine):
    lock = open(__file__)

    def __init__(self, path, device, threads):
        super().__init__(path, "cpu", threads)
        self.device = "cuda:0"

    def run(self, tensors):
        condition = tensors["condition"]
        fcntl.flock(Card.lock, fcntl.LOCK_EX)
        time.sleep({call} + {picture} * len(condition))
        with open("{calls}", "a") as calls:
            calls.write(f"{{len(condition)}}\\n")
        fcntl.flock(Card.lock, fcntl.LOCK_UN)
        return {{"chroma": np.zeros((len(condition), 2, *condition.shape[2:]), np.float32)}}

module.OnnxEngine = Card
"""
ONE_PROCESS = """
import cProfile
from pathlib import Path
from colorcli.jobs.execute import execute, open_context
from colorcli.jobs.job import Job, Kind
from colorcli.options import ColorOptions, RunOptions

with open_context(RunOptions(color=ColorOptions(device="cuda"))) as context, cProfile.Profile() as profile:
    for source in map(Path, {sources}):
        output = Path(__file__).with_name("profiled_" + source.name)
        execute(Job(source, output, Kind("{kind}")), context, lambda event: None)
profile.dump_stats({stats!r})
"""
ROOT = Path(__file__).parents[1]
LONGEST = 12
"""Lines of the profile that are printed."""
SHORT = 4
"""Frames of the run whose time is subtracted, as the time to start."""


def main() -> None:
    arguments = parse()
    with TemporaryDirectory() as name:
        folder = Path(name)
        times = {"call": arguments.call / 1000, "picture": arguments.picture / 1000}
        card = CARD.format(**times, calls=folder / "calls")
        (folder / "sitecustomize.py").write_text(card)
        pictures = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
        with av.open(arguments.film) as film:
            frames = sum(1 for _ in film.decode(video=0))
        for jobs in arguments.jobs:
            options = ["--jobs", str(jobs)]
            start = timed(folder, [*map(str, pictures[:jobs]), *options])
            seconds = timed(folder, [*map(str, pictures), *options]) - start
            report(folder, f"pictures, {jobs} workers", len(pictures) - jobs, seconds)
            start = timed(folder, [str(arguments.film), "--end", f"{SHORT}f", *options])
            seconds = timed(folder, [str(arguments.film), *options]) - start
            report(folder, f"frames of film, {jobs} workers", frames - SHORT, seconds)
        if arguments.profile:
            profile(folder, pictures, "image")
            profile(folder, [arguments.film], "video")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of pictures")
    parser.add_argument("film", type=Path)
    parser.add_argument("--call", type=float, default=1, help="milliseconds of the card for a call")
    parser.add_argument("--picture", type=float, default=0, help="milliseconds more for each picture in it")
    parser.add_argument("--jobs", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--profile", action="store_true", help="print where the time of one process goes")
    return parser.parse_args()


def timed(site: Path, arguments: list[str]) -> float:
    """Seconds that a run takes on the simulated card."""
    (site / "calls").write_text("")
    options = ["-o", str(site / "out"), "--device", "cuda", "--overwrite", "--quiet"]
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
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    subprocess.run([sys.executable, *arguments], env=environment, check=True)


def report(site: Path, what: str, count: int, seconds: float) -> None:
    calls = Counter(map(int, (site / "calls").read_text().split()))
    sizes = ", ".join(f"{number} of {size}" for size, number in sorted(calls.items()))
    sys.stdout.write(f"{count} {what}: {count / seconds:.1f} a second; calls: {sizes}\n")


if __name__ == "__main__":
    main()
