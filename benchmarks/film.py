"""How fast video is colorized, how stable the colors are over time, and how close to the truth.

    python benchmarks/film.py speed GRAY_CLIP...     wall and CPU time as multiples of a plain transcode's
    python benchmarks/film.py steady COLOR_CLIP...   flicker, drift, CDC, colorfulness, PSNR, CIEDE2000
    python benchmarks/film.py returns COLOR_CLIP...  the same of a shot that goes on after another one

Last result of `speed`, version 10: 1.5 times a plain transcode at 1920x1080 (17 frames/s), 2.5 times at
854x480 (41 frames/s). Two cores of an AMD EPYC, 964 frames of gray H.264 each, one run of the script. What
was tried since is in docs/experiments.md, with ratios on half as many frames.

Last result of `steady --frames 75` on the fox, bikes and cockatoo clips:

                              with memory       stabilized        per frame         truth
    drift, mean               1.4   1.9   1.5   1.5   1.7   1.5   9.2  10.6   6.3   2.6   1.4   2.3
    drift, 95th percentile    4.0   5.2   4.3   4.1   4.6   4.3  21.2  30.8  15.8   6.9   3.8   5.4
    flicker                  0.13  0.22  0.15  0.10  0.19  0.11  4.52  3.21  4.03  0.79  0.53  0.85
    CIEDE2000                12.4   7.0   7.8  12.4   7.0   7.8  13.0   7.3   7.7
    PSNR                     22.4  29.3  27.4  22.4  29.3  27.4  22.1  28.7  27.7
    colorfulness             41.4  19.5  23.8  41.7  19.3  23.8  44.0  19.3  23.4  49.3  11.7  15.7

Last result of `returns` on the fox, bikes and cockatoo clips, memory of shots on: colors change by 1.4, 2.0
and 1.6 at the return (off: 5.3, 7.9, 3.7; in truth 1.3, 0.9, 1.5), CIEDE2000 is 11.1, 10.2 and 8.3 (off:
11.4, 10.5, 8.5), and colorfulness 36.6, 27.7 and 26.6 (off: 37.8, 28.8, 26.2).

Speed: ffmpeg decodes and encodes the clip with the default settings of `colorcli run`, and `colorcli run`
colorizes the same clip, alternating several times; the ratio of the medians is printed.

Steadiness: color clips are made gray and colorized. Flicker is the mean difference of chroma, in code
values, between a frame and the previous frame warped along the optical flow, where the flow explains the
luma; cuts do not count. Gray has none. The original's own flicker is printed for comparison: noise and
changing light change real colors, too. Drift is what flicker does not show: points are followed through 24
frames by the luma, and their colors at both ends are compared, as mean and 95th percentile of |da| + |db| in
CIELAB.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import typer

from colorcli.color.ycbcr import Plane, fit_gamut, rgb_from_ycbcr, ycbcr_from_rgb
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.evaluation.metrics import mean_scores, score
from colorcli.evaluation.pictures import Picture
from colorcli.models import open_model
from colorcli.options import DEFAULT_MODEL
from colorcli.video.cuts import CutDetector, is_cut
from colorcli.video.ffmpeg import find_ffmpeg
from colorcli.video.flow import (
    AccumulatedFlow,
    FlowImage,
    FlowMeter,
    Positions,
    grid,
    luma_agreement,
    sample,
)
from colorcli.video.shot_memory import ShotMemory
from colorcli.video.temporal_colorizer import PerFrameColorizer, Step, TemporalColorizer

SHORT_SIDE = 256
SAMPLED = 6
"""CIEDE2000 and colorfulness are measured on every such frame, and points are followed from it."""
SPAN = 24
"""Frames that a point is followed through: about a second."""
RETURN = 25
"""Frames of a shot before and after another one."""
POINT_DISTANCE, MARGIN = 6, 12
"""Pixels between points, and between them and the border."""
MOST_FLOW_ERROR, MOST_LUMA_CHANGE = 1.0, 14
"""Pixels by which forward and backward flow may disagree, and code values by which the luma of a
point may change."""

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
    """Flicker, drift, colorfulness and CIEDE2000, per frame, stabilized, and with a memory of shots."""
    with open_model(model, "cpu", 1) as opened:
        for clip in clips:
            truth = _load(clip, frames)
            lumas = [luma for luma, _ in truth]
            _print(f"{clip.name} truth", lumas, [chroma for _, chroma in truth], truth)
            colorizers = (
                ("per frame", PerFrameColorizer, None),
                ("stabilized", TemporalColorizer, None),
                ("with memory", TemporalColorizer, ShotMemory()),
            )
            for name, colorizer, memory in colorizers:
                predictor = ChromaPredictor(opened)
                steps = colorizer(predictor, lambda number, small: None, memory=memory).run(_steps(lumas))
                chromas = [step.chroma for step in steps if step.chroma is not None]
                _print(f"{clip.name} {name}", lumas, chromas, truth)


@app.command()
def returns(clips: Clips, model: Model = DEFAULT_MODEL) -> None:
    """Change of color from a shot's end to where it goes on after another clip, |da| + |db| in CIELAB."""
    loaded = [_load(clip, 2 * RETURN) for clip in clips]
    with open_model(model, "cpu", 1) as opened:
        for place, clip in enumerate(clips):
            shot, size = loaded[place], loaded[place][0][0].shape[::-1]
            between = [
                (cv2.resize(luma, size), np.stack([cv2.resize(plane, size) for plane in chroma]))
                for luma, chroma in loaded[place - 1][: RETURN - 1]
            ]
            truth = shot[:RETURN] + between + shot[RETURN:]
            lumas = [luma for luma, _ in truth]
            for name, memory in (("no memory", None), ("memory", ShotMemory())):
                colorizer = TemporalColorizer(
                    ChromaPredictor(opened), lambda number, small: None, memory=memory
                )
                found = colorizer.run(_steps(lumas))
                chromas = [step.chroma for step in found if step.chroma is not None]
                _print(f"{clip.name} {name}", lumas, chromas, truth)
                typer.echo(f"    return {_change(lumas, chromas):.2f}")
            typer.echo(f"    in truth {_change(lumas, [chroma for _, chroma in truth]):.2f}")


def _change(lumas: list[Plane], chromas: list[Plane]) -> float:
    """From the end of the first of three shots to the beginning of the third, which follows it in truth."""
    before, after = (_lab(lumas[i], chromas[i]) for i in (RETURN - 1, 2 * RETURN - 1))
    return float(np.abs(before - after).sum(axis=-1).mean())


def _steps(lumas: list[Plane]) -> Iterator[Step]:
    cuts = CutDetector()
    for number, luma in enumerate(lumas):
        yield Step(number, luma, starts_shot=cuts.is_cut(luma))


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
    scores = mean_scores(map(score, map(_coded, wanted), map(_coded, pictures)))
    mean, percentile = drift(lumas, chromas)
    typer.echo(
        f"{name:28} flicker {flicker(lumas, chromas):.3f}  drift {mean:.2f} {percentile:.2f}"
        f"  CDC {color_consistency(pictures):.5f}  colorfulness {scores.colorfulness:.2f}"
        f"  PSNR {scores.psnr:.2f}  CIEDE2000 {scores.ciede2000:.2f}"
    )


def _rgb(luma: Plane, chroma: Plane) -> Plane:
    """[h, w, 3] in [0, 1]."""
    return np.clip(rgb_from_ycbcr(luma, fit_gamut(luma, chroma)), 0, 1).transpose(1, 2, 0)


def _coded(rgb: Plane) -> Picture:
    """[h, w, 3] in code values."""
    return np.rint(255 * rgb).astype(np.uint8)


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


def drift(lumas: list[Plane], chromas: list[Plane]) -> tuple[float, float]:
    """Mean and 95th percentile of the change of points' colors, |da| + |db| in CIELAB, in `SPAN` frames."""
    changes: list[Plane] = [np.zeros(1, np.float32)]
    for number, start, end in follow_points(lumas):
        before, after = (_lab(lumas[i], chromas[i]) for i in (number, number + SPAN))
        changes.append(np.abs(sample(before, start) - sample(after, end)).sum(axis=-1).ravel())
    whole = np.concatenate(changes)
    return float(whole.mean()), float(np.percentile(whole, 95))


def follow_points(lumas: list[Plane]) -> Iterator[tuple[int, Positions, Positions]]:
    """Number of each sampled frame, points [1, n, 2] in it, and their positions `SPAN` frames later."""
    images = [cv2.convertScaleAbs(luma, alpha=255) for luma in lumas]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pairs = list(pairwise(images))
    flows = [(search.calc(one, other, None), search.calc(other, one, None)) for one, other in pairs]
    smooth = [cv2.GaussianBlur(image, (7, 7), 0).astype(np.float32) for image in images]
    height, width = images[0].shape
    inner = [slice(MARGIN, length - MARGIN, POINT_DISTANCE) for length in (height, width)]
    points = grid(height, width)[inner[0], inner[1]]
    for number in range(0, len(images) - SPAN, SAMPLED):
        positions, is_good = points, np.ones(points.shape[:2], bool)
        for forward, backward in flows[number : number + SPAN]:
            following = positions + sample(forward, positions)
            error = following + sample(backward, following) - positions
            is_good &= np.hypot(error[..., 0], error[..., 1]) < MOST_FLOW_ERROR
            is_good &= ((following > 4) & (following < (width - 5, height - 5))).all(axis=-1)
            positions = following
        change = sample(smooth[number], points) - sample(smooth[number + SPAN], positions)
        is_good &= np.abs(change) < MOST_LUMA_CHANGE
        if is_good.any():
            yield number, points[is_good][None], positions[is_good][None]


def _lab(luma: Plane, chroma: Plane) -> Plane:
    """CIELAB a and b [h, w, 2], blurred slightly."""
    lab = cv2.cvtColor(_rgb(luma, chroma).astype(np.float32), cv2.COLOR_RGB2LAB)
    return cv2.GaussianBlur(lab[..., 1:], (5, 5), 0)


def color_consistency(pictures: list[Plane]) -> float:
    """Color distribution consistency (Liu et al. 2021, arXiv:2110.04562), of sampled frames; 0 is constant.

    The mean Jensen-Shannon divergence of the histograms of R, G and B in frames 1, 2 and 4 samples apart.
    """
    histograms = [
        [
            np.histogram(channel, 256, (0, 1))[0] / channel.size + 1e-9
            for channel in np.moveaxis(picture, -1, 0)
        ]
        for picture in pictures
    ]
    found = [
        _divergence(*pair)
        for step in (1, 2, 4)
        for one, other in zip(histograms, histograms[step:], strict=False)
        for pair in zip(one, other, strict=True)
    ]
    return statistics.mean(found)


def _divergence(one: Plane, other: Plane) -> float:
    middle = (one + other) / 2
    return float(sum((part * np.log(part / middle)).sum() for part in (one, other)) / 2)


if __name__ == "__main__":
    app()
