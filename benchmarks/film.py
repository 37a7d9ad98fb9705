"""How fast video is colorized, how stable the colors are over time, and how close to the truth.

    python benchmarks/film.py speed GRAY_CLIP...     wall and CPU time as multiples of a plain transcode's
    python benchmarks/film.py steady COLOR_CLIP...  flicker, colorfulness, CIEDE2000; needs scikit-image

Last result of `speed`, version 10: 1.5 times a plain transcode at 1920x1080 (17 frames/s), 2.5 times at
854x480 (41 frames/s). Two cores of an AMD EPYC, 964 frames of gray H.264 each, one run of the script.
`steady` has no recorded result.

Speed: ffmpeg decodes and encodes the clip with the default settings of `colorcli run`, and `colorcli run`
colorizes the same clip, alternating several times; the ratio of the medians is printed.

Steadiness: color clips are made gray and colorized. Flicker is the mean difference of chroma, in code
values, between a frame and the previous frame warped along the optical flow, where the flow explains the
luma; cuts do not count. Gray has none. The original's own flicker is printed for comparison: noise and
changing light change real colors, too.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import typer

from colorcli.color.ycbcr import Plane, fit_gamut, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.models import open_model
from colorcli.options import DEFAULT_MODEL
from colorcli.video.ffmpeg import find_ffmpeg
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, luma_agreement
from colorcli.video.temporal_colorizer import PerFrameColorizer, Step, TemporalColorizer, is_cut

SHORT_SIDE = 256
SAMPLED = 6
"""CIEDE2000 and colorfulness are measured on every such frame."""

app = typer.Typer(add_completion=False)
Clips = Annotated[list[Path], typer.Argument(exists=True)]
Model = Annotated[Path, typer.Option(help="Generator to use.")]


@app.command()
def speed(clips: Clips, model: Model = DEFAULT_MODEL, rounds: int = 3) -> None:
    """Wall and CPU time as multiples of a plain transcode's."""
    for clip in clips:
        with tempfile.TemporaryDirectory() as folder:
            target = str(Path(folder) / "out.mp4")
            plain = [find_ffmpeg(), "-y", "-v", "error", "-i", str(clip), "-c:v", "libx264", "-crf", "16"]
            plain += ["-preset", "medium", "-rc-lookahead", "30", "-c:a", "copy", target]
            ours = [sys.executable, "-m", "colorcli", "run", str(clip), "-o", target]
            ours += ["--overwrite", "-q", "--model", str(model)]
            pairs = [(_timed(plain), _timed(ours)) for _ in range(rounds)]
        for name, which in (("wall", 0), ("CPU", 1)):
            plain_time, our_time = (statistics.median(pair[i][which] for pair in pairs) for i in (0, 1))
            typer.echo(
                f"{clip.name}: {name} {our_time:.2f} s over {plain_time:.2f} s: {our_time / plain_time:.2f}"
            )


@app.command()
def steady(clips: Clips, model: Model = DEFAULT_MODEL, frames: int = 100) -> None:
    """Flicker, colorfulness and CIEDE2000, per frame and stabilized."""
    with open_model(model, "cpu", 1) as opened:
        for clip in clips:
            truth = _load(clip, frames)
            lumas = [luma for luma, _ in truth]
            _print(f"{clip.name} truth", lumas, [chroma for _, chroma in truth], truth)
            for name, colorizer in (("per frame", PerFrameColorizer), ("stabilized", TemporalColorizer)):
                steps = colorizer(ChromaPredictor(opened), lambda number, small: None).run(
                    Step(number, luma) for number, luma in enumerate(lumas)
                )
                chromas = [step.chroma for step in steps if step.chroma is not None]
                _print(f"{clip.name} {name}", lumas, chromas, truth)


def _timed(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def _load(clip: Path, frames: int) -> list[tuple[Plane, Plane]]:
    """Luma [h, w] and chroma [2, h, w] of a clip's first frames, at the working size."""
    found = []
    with av.open(clip) as container:
        for frame, _ in zip(container.decode(video=0), range(frames), strict=False):
            scale = SHORT_SIDE / min(frame.width, frame.height)
            size = (round(frame.width * scale), round(frame.height * scale))
            small = cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA)
            found.append(ycbcr_from_rgb(small.transpose(2, 0, 1).astype(np.float32) / 255))
    return found


def _print(name: str, lumas: list[Plane], chromas: list[Plane], truth: list[tuple[Plane, Plane]]) -> None:
    pictures = [_rgb(*pair) for pair in zip(lumas, chromas, strict=True)][::SAMPLED]
    wanted = [_rgb(*pair) for pair in truth][::SAMPLED]
    colors = statistics.mean(map(colorfulness, pictures))
    error = statistics.mean(difference(*pair) for pair in zip(pictures, wanted, strict=True))
    flickers = flicker(lumas, chromas)
    typer.echo(f"{name:28} flicker {flickers:.3f}  colorfulness {colors:.2f}  CIEDE2000 {error:.2f}")


def _rgb(luma: Plane, chroma: Plane) -> Plane:
    """[h, w, 3] in [0, 1]."""
    return np.clip(rgb_from_ycbcr(luma, fit_gamut(luma, chroma)), 0, 1).transpose(1, 2, 0)


def flicker(lumas: list[Plane], chromas: list[Plane]) -> float:
    """Mean difference of chroma, in code values, from the previous frame warped along the flow."""
    meter, changes = FlowMeter(), []
    images = [FlowImage.of(luma) for luma in lumas]
    for number in range(1, len(lumas)):
        previous, image = images[number - 1], images[number]
        positions, _, trust, _ = meter.between(previous, image)
        if is_cut(previous, image, positions, trust):
            continue
        flow = AccumulatedFlow(positions, trust * luma_agreement(previous, image, positions))
        weight = flow.trust_at(lumas[number].shape)
        change = np.abs(flow.warp(chromas[number - 1]) - chromas[number]).sum(axis=0)
        changes.append(float((weight * change).sum() / weight.sum()) * 255)
    return statistics.mean(changes)


def colorfulness(rgb: Plane) -> float:
    """Hasler and Suesstrunk (2003), of [h, w, 3] in [0, 1]."""
    red, green, blue = np.moveaxis(rgb * 255, -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    spread = np.hypot(across.std(), along.std())
    return float(spread + 0.3 * np.hypot(across.mean(), along.mean()))


def difference(rgb: Plane, wanted: Plane) -> float:
    """Mean CIEDE2000."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    compare: Callable[[Plane, Plane], Plane] = deltaE_ciede2000
    return float(compare(rgb2lab(rgb), rgb2lab(wanted)).mean())


if __name__ == "__main__":
    app()
