"""How fast film is colored, how steady the colors are, and how near to the truth.

    python benchmarks/film.py speed GRAY_CLIP...     wall and CPU time over the plain transcode's
    python benchmarks/film.py steady COLOR_CLIP...  flicker, colorfulness, CIEDE2000; needs scikit-image

Speed: ffmpeg decodes and encodes the clip with the settings that `colorcli run` uses by default, and
`colorcli run` does the same clip, one after the other, several times; the medians' ratio is told.

Steadiness: clips in color are made gray and colored; flicker is the mean difference of chroma, in code
values, between a frame and the one before it moved along the optical flow, where that explains the luma; cuts
do not count. Gray has none, and the truth's own is told beside it, for noise and light change colors in
nature as well.
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
from colorcli.video.flow import AccumulatedFlow, FlowImage, FlowMeter, likeness
from colorcli.video.temporal_colorizer import PerFrameColorizer, Step, TemporalColorizer, is_cut

SHORT_SIDE = 256
JUDGED = 6
"""Every so many frames CIEDE2000 and colorfulness are measured."""

app = typer.Typer(add_completion=False)
Clips = Annotated[list[Path], typer.Argument(exists=True)]
Model = Annotated[Path, typer.Option(help="Generator to use.")]


@app.command()
def speed(clips: Clips, model: Model = DEFAULT_MODEL, rounds: int = 3) -> None:
    """Wall and CPU time over those of a plain transcode."""
    for clip in clips:
        with tempfile.TemporaryDirectory() as folder:
            target = str(Path(folder) / "out.mp4")
            plain = [find_ffmpeg(), "-y", "-v", "error", "-i", str(clip), "-c:v", "libx264", "-crf", "16"]
            plain += ["-preset", "medium", "-rc-lookahead", "30", "-c:a", "copy", target]
            ours = [sys.executable, "-m", "colorcli", "run", str(clip), "-o", target]
            ours += ["--overwrite", "-q", "--model", str(model)]
            pairs = [(_timed(plain), _timed(ours)) for _ in range(rounds)]
        for name, which in (("wall", 0), ("CPU", 1)):
            floor, full = (statistics.median(pair[i][which] for pair in pairs) for i in (0, 1))
            typer.echo(f"{clip.name}: {name} {full:.2f} s over {floor:.2f} s: {full / floor:.2f}")


@app.command()
def steady(clips: Clips, model: Model = DEFAULT_MODEL, frames: int = 100) -> None:
    """Flicker, colorfulness and CIEDE2000, each frame alone and stabilized."""
    with open_model(model, "cpu", 1) as opened:
        for clip in clips:
            truth = _load(clip, frames)
            lumas = [luma for luma, _ in truth]
            _tell(f"{clip.name} truth", lumas, [chroma for _, chroma in truth], truth)
            for name, way in (("alone", PerFrameColorizer), ("stabilized", TemporalColorizer)):
                steps = way(ChromaPredictor(opened), lambda number, small: None).run(
                    Step(number, luma) for number, luma in enumerate(lumas)
                )
                chromas = [step.chroma for step in steps if step.chroma is not None]
                _tell(f"{clip.name} {name}", lumas, chromas, truth)


def _timed(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def _load(clip: Path, frames: int) -> list[tuple[Plane, Plane]]:
    """Luma [h, w] and chroma [2, h, w] of a clip's first frames, at the size networks see."""
    found = []
    with av.open(clip) as film:
        for frame, _ in zip(film.decode(video=0), range(frames), strict=False):
            scale = SHORT_SIDE / min(frame.width, frame.height)
            size = (round(frame.width * scale), round(frame.height * scale))
            small = cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA)
            found.append(ycbcr_from_rgb(small.transpose(2, 0, 1).astype(np.float32) / 255))
    return found


def _tell(name: str, lumas: list[Plane], chromas: list[Plane], truth: list[tuple[Plane, Plane]]) -> None:
    pictures = [_rgb(*pair) for pair in zip(lumas, chromas, strict=True)][::JUDGED]
    wanted = [_rgb(*pair) for pair in truth][::JUDGED]
    colors = statistics.mean(map(colorfulness, pictures))
    error = statistics.mean(difference(*pair) for pair in zip(pictures, wanted, strict=True))
    flickers = flicker(lumas, chromas)
    typer.echo(f"{name:28} flicker {flickers:.3f}  colorfulness {colors:.2f}  CIEDE2000 {error:.2f}")


def _rgb(luma: Plane, chroma: Plane) -> Plane:
    """[h, w, 3] in [0, 1]."""
    return np.clip(rgb_from_ycbcr(luma, fit_gamut(luma, chroma)), 0, 1).transpose(1, 2, 0)


def flicker(lumas: list[Plane], chromas: list[Plane]) -> float:
    """Mean difference of chroma, in code values, from the frame before it moved along the flow."""
    meter, eyes, missed = FlowMeter(), [FlowImage.of(luma) for luma in lumas], []
    for number in range(1, len(lumas)):
        places, _, trust, _ = meter.between(eyes[number - 1], eyes[number])
        if is_cut(eyes[number - 1], eyes[number], places, trust):
            continue
        trail = AccumulatedFlow(places, trust * likeness(eyes[number - 1], eyes[number], places))
        weight = trail.trust_at(lumas[number].shape)
        change = np.abs(trail.bring(chromas[number - 1]) - chromas[number]).sum(axis=0)
        missed.append(float((weight * change).sum() / weight.sum()) * 255)
    return statistics.mean(missed)


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
